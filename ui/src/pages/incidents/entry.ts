// /incidents and /incidents/3727: what hurts, since when, because of what, is it being handled?
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.incidents', icon: 'incidents', order: 20, key: 'i', to: '/incidents', tab: true },
  routes: [
    { path: '/incidents', load: () => import('./List') },
    { path: '/incidents/$number', load: () => import('./Incident') },
  ],
}
export default entry
