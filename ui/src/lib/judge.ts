// The judge's graph: shares of bad answers of new and old servers since the batch is in, each with a band that holds however often one looks. Pure.

/** A server's counters on the graph's time axis: answers since its balancer started, null where nothing was read. */
export interface Counters { server: string; bad: readonly (number | null)[]; all: readonly (number | null)[] }
export interface Side { share: (number | null)[]; low: (number | null)[]; high: (number | null)[]; bad: number; all: number }

/** Half width of the band around a share of `bad` in `all` that holds at all times at once, wrong at most once in `bound` looks for ever. */
export function halfWidth(bad: number, all: number, bound: number): number {
  if (all <= 0) return 1
  // Never less spread than one bad answer more would make: a share of zero is not yet a certain zero.
  const share = (bad + 1) / (all + 2)
  const spread = all * share * (1 - share)
  // The mixture's place where the band is narrowest: some hundred answers, as after a batch's first second.
  const rho = 2
  return Math.min(1, Math.sqrt((spread + rho) * Math.log(((spread + rho) / rho) * bound * bound)) / all)
}

/** Answers come from counters: what each server gave since `since(server)`; undefined: not on this side. A counter that falls began anew. */
export function side(times: readonly number[], servers: readonly Counters[], since: (server: string) => number | undefined, bound: number): Side {
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
    const share = bad / all
    const half = halfWidth(bad, all, bound)
    out.share.push(share)
    out.low.push(Math.max(0, share - half))
    out.high.push(Math.min(1, share + half))
  })
  return { ...out, bad, all }
}

/** `1 in 10⁹` from an e-value: how rarely a good release would look so bad. Undefined below ten. */
export function oneIn(evidence: number): string | undefined {
  if (!(evidence >= 10)) return undefined
  const power = Math.min(99, Math.floor(Math.log10(evidence)))
  return `10${[...String(power)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`
}
