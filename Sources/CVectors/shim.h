// What Swift's SIMD types have no single instruction for: fused multiply-add where the processor has one, roots,
// conversions and shuffles of sixteen lanes. Vector extensions of the compiler that Swift comes with; no code of its own.
#pragma once
#include <stdint.h>

typedef float cvectors_float16 __attribute__((ext_vector_type(16)));
typedef uint8_t cvectors_byte16 __attribute__((ext_vector_type(16)));
typedef uint32_t cvectors_uint16 __attribute__((ext_vector_type(16)));
typedef uint16_t cvectors_half16 __attribute__((ext_vector_type(16)));
typedef uint64_t cvectors_ulong8 __attribute__((ext_vector_type(8)));

#define CVECTORS_INLINE static inline __attribute__((always_inline))

// x·y + z: rounded once where the build's processor fuses; a library call elsewhere would cost hundreds of times more.
CVECTORS_INLINE cvectors_float16 cvectors_multiply_add(cvectors_float16 x, cvectors_float16 y, cvectors_float16 z) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(x, y, z);
#else
  return x * y + z;
#endif
}

CVECTORS_INLINE cvectors_float16 cvectors_square_root(cvectors_float16 x) { return __builtin_elementwise_sqrt(x); }

CVECTORS_INLINE cvectors_float16 cvectors_from_bytes(cvectors_byte16 x) {
  return __builtin_convertvector(x, cvectors_float16);
}

CVECTORS_INLINE cvectors_byte16 cvectors_to_bytes(cvectors_uint16 x) {
  return __builtin_convertvector(x, cvectors_byte16);
}

// The low 16 bits of each element.
CVECTORS_INLINE cvectors_half16 cvectors_low_halves(cvectors_uint16 x) {
  return __builtin_convertvector(x, cvectors_half16);
}

// The low 32 bits of each element, those of `low` first.
CVECTORS_INLINE cvectors_uint16 cvectors_low_words(cvectors_ulong8 low, cvectors_ulong8 high) {
  return __builtin_shufflevector(
      (cvectors_uint16)low, (cvectors_uint16)high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

// The full products of the low 32 bits of each element.
CVECTORS_INLINE cvectors_ulong8 cvectors_multiply_low_words(cvectors_ulong8 x, uint32_t factor) {
  return (x & (cvectors_ulong8)(uint64_t)0xFFFFFFFF) * (cvectors_ulong8)(uint64_t)factor;
}

// The high 32 bits of each element, combined with x and a key by exclusive or.
CVECTORS_INLINE cvectors_ulong8 cvectors_high_words(cvectors_ulong8 product, cvectors_ulong8 x, uint32_t key) {
  return (product >> 32) ^ x ^ (cvectors_ulong8)(uint64_t)key;
}

// Whether the build's registers hold sixteen floats, of which there are then 32; a function, as a constant would make
// the other branch dead code to be warned of.
CVECTORS_INLINE int cvectors_is_wide(void) {
#ifdef __AVX512F__
  return 1;
#else
  return 0;
#endif
}

// What the build is for: 0 the baseline of the architecture, 1 AVX2, 2 AVX-512, 3 NEON.
#if defined(__AVX512F__)
#define CVECTORS_LEVEL 2
#elif defined(__AVX2__)
#define CVECTORS_LEVEL 1
#elif defined(__aarch64__)
#define CVECTORS_LEVEL 3
#else
#define CVECTORS_LEVEL 0
#endif

// Whether the processor that the program runs on has what AVX-512 kernels of a BLAS use.
static inline int cvectors_processor_has_avx512(void) {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#else
  return 0;
#endif
}

// Steps of a transposition: pairs of elements, of pairs, of fours and of eights of two rows change places.
#define CVECTORS_INTERLEAVE(name, ...)                                                                            \
  CVECTORS_INLINE cvectors_float16 cvectors_interleave_##name(cvectors_float16 x, cvectors_float16 y) {           \
    return __builtin_shufflevector(x, y, __VA_ARGS__);                                                            \
  }
CVECTORS_INTERLEAVE(low_1, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
CVECTORS_INTERLEAVE(high_1, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31)
CVECTORS_INTERLEAVE(low_2, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
CVECTORS_INTERLEAVE(high_2, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
CVECTORS_INTERLEAVE(low_4, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
CVECTORS_INTERLEAVE(high_4, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)
CVECTORS_INTERLEAVE(low_8, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
CVECTORS_INTERLEAVE(high_8, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
