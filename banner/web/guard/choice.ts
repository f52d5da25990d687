/** The visitor's choice: given to the proxy first, obeyed when its receipt is durable. */
import { learn } from './learning'
import { nativeFetch } from './native'
import { type Optional, type Standing, anew, child, chosen, locked, objects, once, optional, prefix, regime, standing } from './page'
import { comesLate, release } from './release'
import { send } from './reports'
import { signalChoice } from './signals'
import { sweep } from './storage'

export type Action = 'accept-all' | 'reject-all' | 'save'
type Listener = (standing: Standing) => void

const listeners = new Set<Listener>()

/** Calls listener after every choice, until the function that comes back is called. */
export function on(listener: Listener): () => void {
	listeners.add(listener)
	return () => listeners.delete(listener)
}

/** Makes a choice. Resolves when it is recorded and what it releases has run; rejects when the proxy did not take it. */
export async function choose(action: Action, categories: readonly string[] = [], more: { language?: string | undefined; shown?: string | undefined; vendor?: string | undefined; method?: 'api' } = {}): Promise<void> {
	if (child) throw Error('askfirst: child')
	if (locked) send() // of whom the proxy knows before it is asked for the page anew
	const { status } = await tell({ choice: action, categories, ...more })
	if (status !== 204) throw Error('askfirst: ' + status)
	await obey(chosen() ?? { made: true, granted: new Set(optional.filter((c) => action === 'accept-all' || categories.includes(c))) })
}

/** Tells the proxy. */
const tell = (what: object): Promise<Response> =>
	nativeFetch.call(self, prefix + 'consent', {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ return: location.pathname + location.search, ...what }),
	})

/** Has Global Privacy Control put on record where it takes something out; nothing changes on the page. */
export function honour(): void {
	if (child || chosen() || standing.made || regime === 'opt-in' || !objects()) return
	tell({ choice: 'gpc' }).catch(() => {}) // it is obeyed all the same, and put on record with the next page
}

/** Lets everything on the page follow a choice. What was withdrawn cannot be unloaded, nor all be made whole late: then the page is loaded again. */
export async function obey(choice: Standing): Promise<void> {
	const before: Set<Optional> = standing.granted
	Object.assign(standing, choice)
	const withdrawn = [...before].some((c) => !standing.granted.has(c))
	if (withdrawn) once.clear()
	signalChoice()
	for (const listener of listeners) {
		try {
			listener({ ...standing })
		} catch {
			// A listener's error is its own.
		}
	}
	if (anew || withdrawn || (locked && standing.granted.size > before.size) || (await learn(['names']), comesLate())) {
		sweep()
		location.reload()
	} else if (!(await release())) location.reload()
}
