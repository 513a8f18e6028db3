// view.h -- shape ops: other looks at the same elements, and copies that only move them.
//
// Every dtype; gradients for floating ones. Dimensions may be negative (counted from the end). Saved: shapes
// (index_select: the indices). Errors: dimensions, ranges and indices that do not exist.
#pragma once

#include <vector>

#include "autograd/autograd.h"

namespace gfsa {

// The same elements in row-major order. A view if x is contiguous, else a copy.
Tensor reshape(const Tensor& x, const Shape& shape);
// Views; their backward is a view too.
Tensor transpose(const Tensor& x, int a, int b);
Tensor expand(const Tensor& x, const Shape& shape);  // backward: sums over the stretched dimensions, see sum_to
// Views of elements [begin, end) of a dimension, and of one (which drops the dimension). Backward adds into the
// gradient's own slice; the first of several slices of one tensor pays for filling the rest with zeros.
Tensor slice(const Tensor& x, int dim, int64_t begin, int64_t end);
Tensor select(const Tensor& x, int dim, int64_t index);
// Joined along a dimension; all other dimensions and the dtype agree. Backward: slices of dy, not copied.
Tensor concat(const std::vector<Tensor>& xs, int dim);
// y[..., i, ...] = x[..., indices[i], ...]; indices i64 [n]. Backward adds in the order of the indices, in f32 for
// bf16. On GPUs an index that does not exist gives NaN (0 in other dtypes) and no gradient instead of an error.
Tensor index_select(const Tensor& x, int dim, const Tensor& indices);
// x itself if it has that dtype. To or from an integer dtype: no gradient.
Tensor cast(const Tensor& x, DType dtype);

}  // namespace gfsa
