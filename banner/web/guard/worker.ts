/**
 * The guard of a worker: the page's guard puts it in front of a text that the page
 * makes a worker of, the proxy into a file that is asked for as a worker's, and this
 * guard in front of a text that a worker makes another of. It has no rules, but asks
 * the proxy about each address before that is called, so that a choice that is made
 * meanwhile counts from the next call on. What cannot wait asks by a synchronous
 * request to the site's own host, which in a worker keeps nobody waiting but the
 * caller. What is held fails as on a network that is blocked, and so does everything
 * if no answer comes. What was allowed stays so: a page is loaded anew when something
 * is withdrawn. A shared worker outlives that, and asks every time.
 *
 * The proxy puts in front whom to ask, and for which page. A module that a worker
 * imports comes with the guard too, and runs before the one that imports it: it is the
 * first that guards, and the last that knows the page.
 */
import type { Kind } from './matcher'
import { apply, wrap } from './wrap'

declare const WorkerGlobalScope: Function
declare global {
	interface Window {
		__askfirst_page?: { ask: string; page: string; child: boolean } | undefined
	}
}
let page = self.__askfirst_page
const address = self.origin + page?.ask
const { open, send } = XMLHttpRequest.prototype

const allowed = new Set<string>()
const maxAllowed = 1000

/** An address that is to be called, and what to ask about it; undefined where that is known. What is no address fails by itself. */
function question(reference: any, kind: Kind): [url: string, body: string] | undefined {
	const { protocol, href: url } = new URL(reference?.url ?? reference, self.location.href)
	if (!/^(http|ws)s?:/.test(protocol) || allowed.has(url)) return
	return [url, JSON.stringify({ ...page, kind, url })]
}

/** Reports what the proxy answered. */
function holds(url: string, answer: { allowed: boolean }): boolean {
	if (answer.allowed && !('onconnect' in self) && allowed.size < maxAllowed) allowed.add(url)
	return !answer.allowed
}

/** The text of a synchronous request. */
function request(method: string, url: string, body?: string): string {
	const r = new XMLHttpRequest()
	apply(open, r, [method, url, false])
	apply(send, r, [body])
	return r.responseText
}

/** Reports whether a call is held. */
function held(reference: unknown, kind: Kind): boolean {
	const asked = question(reference, kind)
	if (!asked) return false
	try {
		return holds(asked[0], JSON.parse(request('POST', address, asked[1])))
	} catch {
		return true
	}
}

/** Has a held call go where nothing answers it. */
const block =
	(kind: Kind, at: number, nowhere = 'about:invalid') =>
	(_: unknown, args: unknown[]): void => {
		if (held(args[at], kind)) args[at] = nowhere
	}

function guard(): void {
	for (const owner of [self, WorkerGlobalScope]) {
		wrap(owner, 'fetch', (worker, args, native) => {
			const asked = question(args[0], 'connect')
			if (!asked) return
			const answer: Promise<Response> = apply(native, self, [address, { method: 'POST', body: asked[1] }])
			const value = answer
				.then(async (answer) => holds(asked[0], await answer.json()))
				.catch(() => true)
				.then((refused) => (refused ? Promise.reject(new TypeError('Failed to fetch')) : apply(native, worker, args)))
			return { value }
		})
		wrap(owner, 'importScripts', (_, args) => args.forEach((_, at) => block('script', at)(_, args)))
	}
	wrap(XMLHttpRequest, 'open', block('connect', 1))
	wrap(self, 'EventSource', block('connect', 0))
	wrap(self, 'WebSocket', block('connect', 0, address.replace('http', 'ws')))
	wrap(self, 'WebTransport', block('connect', 0, 'https://invalid:1'))
	wrap(self, 'Worker', (_, args) => {
		block('script', 0, address)(_, args)
		if (page && typeof args[0] === 'string' && /^blob:/.test(args[0])) {
			const texts = [request('GET', address + '?' + page.child + page.page), request('GET', args[0])]
			args[0] = URL.createObjectURL(new Blob(texts, { type: 'text/javascript' }))
		}
	})
}

// A cache that mixes up what a file is for may have given it to a page.
if (page && !self.document) {
	Object.defineProperty(self, '__askfirst_page', { enumerable: false, set: (told) => (page = told) })
	guard()
}
