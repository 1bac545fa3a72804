// What is on line where, what is being done to it, is it well, how do I stop it?
import type { PageEntry } from '../registry'

const entry: PageEntry = {
  nav: { word: 'nav.deploy', icon: 'deploy', group: 'release', order: 40, key: 'd', to: '/deploy', tab: true },
  routes: [
    { path: '/deploy', load: () => import('./First') },
    { path: '/deploy/$project/$service/$environment', load: () => import('./Deploy') },
    { path: '/deploy/$project/$service/$environment/$order', load: () => import('./Deploy') },
  ],
}
export default entry
