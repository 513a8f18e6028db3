#include "attention/arguments.h"

#include "base/error.h"
#include "core/dispatch.h"

namespace gfsa::kernels {

Tensor with_dense_rows(const Tensor& x) {
  return x.strides()[x.rank() - 1] == 1 || x.dim(-1) == 1 ? x : x.contiguous();
}

void take_queries_keys_values(const AttentionInputs& in, int64_t heads, Expect& e, Problem& p) {
  e.that(in.qkv.defined() != in.q.defined() && in.q.defined() == in.k.defined() && in.q.defined() == in.v.defined(),
         "give either qkv, or all of q, k and v");
  e.that(heads >= 1, "{} heads", heads);
  int64_t width;
  if (in.qkv) {
    e.floating("qkv", in.qkv).shape("qkv", in.qkv, "B N C3");
    e.that(e["C3"] % (3 * heads) == 0, "qkv has {} columns, expected 3 x {} heads x the head size", e["C3"], heads);
    const Tensor qkv = with_dense_rows(in.qkv.detach());
    width = e["C3"] / 3;
    p.q = qkv.slice(2, 0, width);
    p.k = qkv.slice(2, width, 2 * width);
    p.v = qkv.slice(2, 2 * width, 3 * width);
  } else {
    e.floating("q", in.q).dtype("k", in.k, {in.q.dtype()}).dtype("v", in.v, {in.q.dtype()});
    e.shape("q", in.q, "B Nq C").shape("k", in.k, "B Nk C").shape("v", in.v, "B Nk C");
    width = e["C"];
    e.that(width % heads == 0, "q has {} columns, expected {} heads x the head size", width, heads);
    p.q = with_dense_rows(in.q.detach());
    p.k = with_dense_rows(in.k.detach());
    p.v = with_dense_rows(in.v.detach());
  }
  p.batch = p.q.dim(0);
  p.rows = p.q.dim(1);
  p.keys = p.k.dim(1);
  p.heads = heads;
  p.head_size = width / heads;
  p.dtype = p.q.dtype();
  e.that(p.head_size >= 1, "the head size is 0");
}

void take_coefficients(const AttentionInputs& in, Expect& e, Problem& p) {
  p.degree = 1;
  const bool on_cpu = is_on_cpu(p.q);
  if (!in.coefficients) {
    for (int64_t h = 0; h < p.heads && on_cpu; ++h) p.coefficients.insert(p.coefficients.end(), {0.0, 0.0, 1.0});
    return;
  }
  const Tensor& c = in.coefficients;
  e.same_device("coefficients", c, p.q);
  e.dtype("coefficients", c, {accumulator_of(p.dtype)});
  e.that(c.rank() == 2 && c.dim(0) == p.heads && c.dim(1) >= 3,
         "coefficients have shape {}, expected [{}, 2 + degree] with degree >= 1", c.shape().text(), p.heads);
  if (p.rows != p.keys) {
    bad_input(
        "attention: a filter composes the attention matrix with itself and needs as many queries as keys, here {} and "
        "{}; give "
        "cross-attention no coefficients (softmax)",
        p.rows, p.keys);
  }
  p.degree = c.dim(1) - 2;
  if (on_cpu) {
    p.coefficients = c.to_vector<double>();
  } else {
    p.device_coefficients = c.detach().contiguous();
  }
}

}  // namespace gfsa::kernels
