// The arithmetic of elementwise ops, reductions' backwards and views.
#include "ops/cuda/map.h"
#include "ops/functions.h"

namespace gfsa {
using namespace functions;

#define GFSA_MAP(...) template struct PointwiseKernel<GFSA_DEVICE_TYPE, __VA_ARGS__>
#define GFSA_UNARY(F)        \
  GFSA_MAP(F, float, float); \
  GFSA_MAP(F, bfloat16, bfloat16)
#define GFSA_BINARY(F)              \
  GFSA_MAP(F, float, float, float); \
  GFSA_MAP(F, bfloat16, bfloat16, bfloat16)

GFSA_BINARY(Add);
GFSA_MAP(Add, float, float, bfloat16);
GFSA_BINARY(Subtract);
GFSA_BINARY(Multiply);
GFSA_BINARY(Divide);
GFSA_MAP(DivideSlope, float, float, float, float);
GFSA_MAP(DivideSlope, bfloat16, bfloat16, bfloat16, bfloat16);

// residual_scale: a residual stream, its branch, gamma.
GFSA_MAP(AddProduct, float, float, float, float);
GFSA_MAP(AddProduct, float, float, bfloat16, float);
GFSA_MAP(AddProduct, bfloat16, bfloat16, bfloat16, float);
GFSA_MAP(Multiply, bfloat16, float, float);
GFSA_MAP(Multiply, bfloat16, bfloat16, float);
GFSA_MAP(Multiply, bfloat16, double, double);  // to link: the forward refuses f64

GFSA_MAP(Select, float, bool, float, float);
GFSA_MAP(Select, bfloat16, bool, bfloat16, bfloat16);
GFSA_MAP(KeepWhere, float, bool, float);
GFSA_MAP(KeepWhere, bfloat16, bool, bfloat16);

GFSA_UNARY(Scale);
GFSA_BINARY(AddScaled);
GFSA_UNARY(AddScalar);
GFSA_UNARY(Negate);
GFSA_UNARY(Exp);
GFSA_UNARY(Log);
GFSA_BINARY(LogSlope);
GFSA_UNARY(Sqrt);
GFSA_BINARY(SqrtSlope);
GFSA_UNARY(Square);
GFSA_BINARY(SquareSlope);
GFSA_MAP(SquareSlope, bfloat16, bfloat16, float);

GFSA_UNARY(Limit);
GFSA_BINARY(LimitSlope);

#undef GFSA_BINARY
#undef GFSA_UNARY
#undef GFSA_MAP

}  // namespace gfsa
