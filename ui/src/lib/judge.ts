// The judge's graph: shares of bad answers of new and old servers since the batch is in, each with a band that holds however often one looks. Pure.

/** A server's counters on the graph's time axis: answers since its balancer started, null where nothing was read. */
export interface Counters { server: string; bad: readonly (number | null)[]; all: readonly (number | null)[] }
export interface Side { share: (number | null)[]; low: (number | null)[]; high: (number | null)[]; bad: number; all: number }

/** Logarithm of the gamma function, by Stirling's series from ten on. */
function logGamma(x: number): number {
  let shift = 0
  while (x < 10) {
    shift -= Math.log(x)
    x += 1
  }
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3)
}
const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b)

/**
 * The shares that `bad` of `all` leave standing, however often one looks: what a mixture over all shares (Beta 1/2, 1/2) beats `weight` to one
 * is ruled out, and a right share is ruled out at most once in `weight` (Ville). New and old each get the root of the judge's bound,
 * so that bands that came apart speak against the release about as loud as the bound asks.
 */
export function band(bad: number, all: number, weight: number): { low: number; high: number } {
  if (all <= 0) return { low: 0, high: 1 }
  const mixed = logBeta(bad + 0.5, all - bad + 0.5) - logBeta(0.5, 0.5)
  const limit = mixed - Math.log(weight)
  // Above the limit a share still stands; the logarithm of the likelihood rises up to bad / all and falls after.
  const stands = (share: number): boolean => (bad === 0 ? 0 : bad * Math.log(share)) + (bad === all ? 0 : (all - bad) * Math.log1p(-share)) >= limit
  const edge = (inside: number, outside: number): number => {
    for (let round = 0; round < 40; round += 1) {
      const middle = (inside + outside) / 2
      if (stands(middle)) inside = middle
      else outside = middle
    }
    return inside
  }
  const share = bad / all
  return { low: bad === 0 ? 0 : edge(share, 0), high: bad === all ? 1 : edge(share, 1) }
}

/** Answers come from counters: what each server gave since `since(server)`; undefined: not on this side. A counter that falls began anew. */
export function side(times: readonly number[], servers: readonly Counters[], since: (server: string) => number | undefined, weight: number): Side {
  const last = servers.map(() => ({ bad: undefined as number | undefined, all: undefined as number | undefined }))
  let bad = 0
  let all = 0
  const out: Side = { share: [], low: [], high: [], bad: 0, all: 0 }
  times.forEach((at, index) => {
    servers.forEach((one, place) => {
      const from = since(one.server)
      const nowAll = one.all[index]
      const nowBad = one.bad[index]
      if (from === undefined || nowAll == null || nowBad == null) return
      const before = last[place]!
      if (at * 1000 >= from && before.all !== undefined && before.bad !== undefined) {
        all += nowAll >= before.all ? nowAll - before.all : nowAll
        bad += nowBad >= before.bad ? nowBad - before.bad : nowBad
      }
      before.all = nowAll
      before.bad = nowBad
    })
    if (all === 0) {
      out.share.push(null)
      out.low.push(null)
      out.high.push(null)
      return
    }
    const { low, high } = band(bad, all, weight)
    out.share.push(bad / all)
    out.low.push(low)
    out.high.push(high)
  })
  return { ...out, bad, all }
}

/** `1 in 10⁹` from an e-value: how rarely a good release would look so bad. Undefined below ten. */
export function oneIn(evidence: number): string | undefined {
  if (!(evidence >= 10)) return undefined
  const power = Math.min(99, Math.floor(Math.log10(evidence)))
  return `10${[...String(power)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`
}
