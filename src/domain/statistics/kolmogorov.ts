const SCALE = 2 ** 128;
const SQRT_2PI = Math.sqrt(2 * Math.PI);

/**
 * P(D_n >= d) of the two-sided one-sample Kolmogorov-Smirnov statistic: scipy's `kstwo.sf(d, n)`, which is what
 * `ks_2samp(method='asymp')` evaluates at n = round(n1·n2/(n1+n2)). Method choice after Simard and L'Ecuyer
 * (2011): exact matrix power for small n, twice the one-sided tail where that is exact enough, Pelz and Good
 * (1976) else. Within 1e-9 of scipy. NaN for n = 0 (only 1 value against 1), as in scipy.
 */
export function kolmogorovSf(n: number, d: number): number {
  if (!Number.isInteger(n) || n < 1 || Number.isNaN(d)) return Number.NaN;
  const t = n * d;
  if (d >= 1) return 0;
  if (d <= 0 || t <= 0.5) return 1;
  if (t <= 1) return 1 - rubenGambino(n, t);
  if (t >= n - 1) return clip(2 * (1 - d) ** n);
  if (d >= 0.5) return clip(2 * oneSidedSf(n, d));
  const squared = t * d;
  if (n <= 140) return squared <= 4 ? clip(1 - durbinMatrix(n, d)) : clip(2 * oneSidedSf(n, d));
  if (squared >= 370) return 0;
  if (squared >= 2.2) return clip(2 * oneSidedSf(n, d));
  if (n <= 100_000 && n * d ** 1.5 <= 1.4 && !negligibleCdf(squared)) return clip(1 - durbinMatrix(n, d));
  return clip(1 - pelzGood(n, d));
}

function clip(p: number): number {
  return p < 0 ? 0 : p > 1 ? 1 : p;
}

/** Whether the limiting distribution function at z² is below 1e-12: then any method says 1 for the tail. */
function negligibleCdf(zSquared: number): boolean {
  return (SQRT_2PI / Math.sqrt(zSquared)) * Math.exp(-(Math.PI ** 2) / (8 * zSquared)) < 1e-12;
}

/** P(D_n <= t/n) for 1/2 <= t <= 1: n!/nⁿ · (2t - 1)ⁿ. */
function rubenGambino(n: number, t: number): number {
  let logProduct = 0;
  for (let i = 1; i <= n; i += 1) {
    logProduct += Math.log((i / n) * (2 * t - 1));
    if (logProduct < -745) return 0;
  }
  return Math.exp(logProduct);
}

/** P(D_n⁺ >= d), the exact sum of Birnbaum and Tingey (1951); every term is positive. */
function oneSidedSf(n: number, d: number): number {
  const last = Math.floor(n * (1 - d));
  let logBinomial = 0;
  let sum = 0;
  for (let j = 0; j <= last; j += 1) {
    const left = d + j / n;
    const right = 1 - left;
    const logRight = n === j ? 0 : right > 0 ? (n - j) * Math.log(right) : -Infinity;
    sum += Math.exp(logBinomial + (j - 1) * Math.log(left) + logRight);
    logBinomial += Math.log((n - j) / (j + 1));
  }
  return clip(d * sum);
}

/** P(D_n <= d) by the matrix of Durbin (1968) in the form of Marsaglia, Tsang and Wang (2003). */
function durbinMatrix(n: number, d: number): number {
  const k = Math.ceil(n * d);
  const h = k - n * d;
  const size = 2 * k - 1;
  let matrix: Float64Array = durbinStart(size, h);
  let power: Float64Array = identity(size);
  let matrixExponent = 0;
  let powerExponent = 0;
  const centre = (k - 1) * size + k - 1;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) {
      power = multiply(power, matrix, size);
      powerExponent += matrixExponent;
    }
    if (rest === 1) break;
    matrix = multiply(matrix, matrix, size);
    matrixExponent *= 2;
    if (Math.abs(matrix[centre] as number) > SCALE) {
      for (let i = 0; i < matrix.length; i += 1) matrix[i] = (matrix[i] as number) / SCALE;
      matrixExponent += 128;
    }
  }
  let p = power[centre] as number;
  for (let i = 1; i <= n; i += 1) {
    p = (i * p) / n;
    if (Math.abs(p) < 1 / SCALE) {
      p *= SCALE;
      powerExponent -= 128;
    }
  }
  return p * 2 ** powerExponent;
}

function durbinStart(size: number, h: number): Float64Array {
  const matrix = new Float64Array(size * size);
  let inverseFactorial = 1;
  const band = new Float64Array(size);
  const column = new Float64Array(size);
  for (let j = 1; j <= size; j += 1) {
    band[j - 1] = inverseFactorial;
    inverseFactorial /= j;
    column[j - 1] = (1 - h ** j) * inverseFactorial;
  }
  column[size - 1] = (1 + Math.max(2 * h - 1, 0) ** size - 2 * h ** size) * inverseFactorial;
  for (let i = 1; i < size; i += 1) {
    for (let row = i - 1; row < size; row += 1) matrix[row * size + i] = band[row - i + 1] as number;
  }
  for (let row = 0; row < size; row += 1) matrix[row * size] = column[row] as number;
  for (let i = 0; i < size; i += 1) matrix[(size - 1) * size + i] = column[size - 1 - i] as number;
  return matrix;
}

function identity(size: number): Float64Array {
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) matrix[i * size + i] = 1;
  return matrix;
}

function multiply(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const product = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    for (let k = 0; k < size; k += 1) {
      const factor = a[i * size + k] as number;
      if (factor === 0) continue;
      const from = k * size;
      const to = i * size;
      for (let j = 0; j < size; j += 1) {
        product[to + j] = (product[to + j] as number) + factor * (b[from + j] as number);
      }
    }
  }
  return product;
}

/** Pelz and Good's expansion of P(D_n <= d): four terms in 1/sqrt(n), theta-function form. */
function pelzGood(n: number, d: number): number {
  const z = Math.sqrt(n) * d;
  const z2 = z * z;
  const z4 = z2 * z2;
  const z6 = z4 * z2;
  const pi2 = Math.PI ** 2;
  const pi4 = pi2 * pi2;
  const pi6 = pi4 * pi2;
  const logQ = -pi2 / 8 / z2;
  if (logQ < -708) return 0;
  const q = Math.exp(logQ);
  const k1b = pi2 / 4;
  const k2a = 6 * z6 + 2 * z4;
  const k2b = ((2 * z4 - 5 * z2) * pi2) / 4;
  const k2c = (pi4 * (1 - 2 * z2)) / 16;
  const k3d = (pi6 * (5 - 30 * z2)) / 64;
  const k3c = (pi4 * (-60 * z2 + 212 * z4)) / 16;
  const k3b = (pi2 * (135 * z4 - 96 * z6)) / 4;
  const k3a = -30 * z6 - 90 * z4 * z4;
  let [k0, k1, k2, k3] = [0, 0, 0, 0];
  const terms = Math.ceil((16 * z) / Math.PI);
  for (let k = terms; k > 0; k -= 1) {
    const m2 = (2 * k - 1) ** 2;
    const m4 = m2 * m2;
    const qPower = q ** (8 * k);
    k0 = k0 * qPower + 1;
    k1 = k1 * qPower - z2 + k1b * m2;
    k2 = k2 * qPower + k2a + k2b * m2 + k2c * m4;
    k3 = k3 * qPower + k3a + k3b * m2 + k3c * m4 + k3d * m4 * m2;
  }
  const scale = q * SQRT_2PI;
  k0 *= scale / z;
  k1 *= scale / (6 * z4);
  k2 *= scale / (72 * z6 * z);
  k3 *= scale / (6480 * z6 * z4);
  let extra2 = 0;
  let extra3 = 0;
  const q2 = Math.exp(-pi2 / 2 / z2);
  for (let k = terms; k > 0; k -= 1) {
    const power = q2 ** (k * k);
    extra2 += k * k * power;
    extra3 += (3 * z2 - pi2 * k * k) * k * k * power;
  }
  k2 += (extra2 * pi2 * SQRT_2PI) / (-36 * z2 * z);
  k3 += (extra3 * pi2 * SQRT_2PI) / (216 * z6);
  return k0 + k1 / Math.sqrt(n) + k2 / n + k3 / n ** 1.5;
}
