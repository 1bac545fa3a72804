// /login, and /login?link=... of a one-time link.
import type { PageEntry } from '../registry'

const entry: PageEntry = { routes: [{ path: '/login', bare: true, load: () => import('./Login') }] }
export default entry
