// Offers of verbs from what is known now, with the words of this page.
import { useCallback } from 'react'
import { useIncidents, useMe, useOrders, useServices } from '../data/queries'
import type { WordId } from '../lib/words'
import { useFormat, useWord } from './language'
import { offers, type Offer } from './verbs'

export function useOffers(): (typed: string, most?: number) => Offer[] {
  const word = useWord()
  const format = useFormat()
  const services = useServices().data
  const orders = useOrders().data
  const incidents = useIncidents().data
  const rights = useMe().data?.rights
  return useCallback(
    (typed, most) => offers(typed, { services: services ?? [], orders: orders ?? [], incidents: incidents ?? [], rights }, {
      right: (right) => word('deploy.off.right', { right }),
      nothing: word('palette.nothing'),
      title: (row) => format.text(row.title),
      state: (row) => word(`orders.state.${row.state}` as WordId),
    }, most),
    [services, orders, incidents, rights, word, format],
  )
}
