// `/deploy` alone: goes to what is being released, else to the first service.
import { Navigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useWord } from '../../components/language'
import { Panel } from '../../components/Panel'
import { Empty, Loaded } from '../../components/Waiting'
import { useOrders, useServices } from '../../data/queries'

export default function First(): ReactNode {
  const word = useWord()
  const services = useServices()
  const orders = useOrders()
  return (
    <Loaded query={services}>
      {(rows) => {
        if (orders.isPending && rows.length > 0) return null
        const newest = orders.data?.find((order) => rows.some((row) => row.project === order.project && row.service === order.service && row.environment === order.environment))
        // Without an order: the last environment of the first service, which is the one that counts.
        const first = newest ?? rows.filter((row) => row.service === rows[0]?.service).at(-1)
        if (first) return <Navigate to={`/deploy/${first.project}/${first.service}/${first.environment}`} replace />
        return (
          <>
            <h1>{word('nav.deploy')}</h1>
            <Panel name={word('nav.deploy')}><Empty title={word('deploy.none')}>{word('deploy.none.hint')}</Empty></Panel>
          </>
        )
      }}
    </Loaded>
  )
}
