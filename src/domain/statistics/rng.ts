/** A seeded generator: the same seed gives the same numbers on every platform. */
export interface Rng {
  /** Uniform integer in [0, 2^32). */
  readonly nextUint32: () => number;
  /** Uniform number in [0, 1) with 53 random bits. */
  readonly uniform: () => number;
  /** Unbiased integer in [0, bound); `bound` in 1..2^32. Throws RangeError otherwise. */
  readonly integerBelow: (bound: number) => number;
  /** Standard normal deviate (Marsaglia's polar method). */
  readonly normal: () => number;
}

/**
 * Create a generator from a 32-bit seed: xoshiro128** (Blackman and Vigna 2018), its state filled by
 * splitmix32 so that neighbouring seeds give unrelated streams.
 */
export function createRng(seed: number): Rng {
  if (!Number.isInteger(seed)) throw new RangeError(`seed must be an integer, got ${seed}`);
  let mix = seed | 0;
  const nextSeed = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let s0 = nextSeed();
  let s1 = nextSeed();
  let s2 = nextSeed();
  let s3 = nextSeed();
  if ((s0 | s1 | s2 | s3) === 0) s0 = 1;

  const nextUint32 = (): number => {
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  };

  const uniform = (): number => {
    const high = nextUint32() >>> 5;
    const low = nextUint32() >>> 6;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  };

  const integerBelow = (bound: number): number => {
    if (!Number.isInteger(bound) || bound < 1 || bound > 4_294_967_296) {
      throw new RangeError(`bound must be an integer in 1..2^32, got ${bound}`);
    }
    const limit = 4_294_967_296 - (4_294_967_296 % bound);
    let draw = nextUint32();
    while (draw >= limit) draw = nextUint32();
    return draw % bound;
  };

  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const u = 2 * uniform() - 1;
      const v = 2 * uniform() - 1;
      const squared = u * u + v * v;
      if (squared > 0 && squared < 1) {
        const factor = Math.sqrt((-2 * Math.log(squared)) / squared);
        spare = v * factor;
        return u * factor;
      }
    }
  };

  return { nextUint32, uniform, integerBelow, normal };
}
