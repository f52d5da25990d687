/** Counts of what was held, released, stopped and fired, sent in batches and without anything that names a visitor. */
import { kinds } from './held'
import { type Kind, parse } from './matcher'
import { apply, nativeBeacon } from './native'
import { judge, letters, prefix } from './page'

export type TagEvent = 'held' | 'released' | 'fired' | 'stopped'

/** How many tags, and how many cookies, are kept and go into one report. */
const maxKept = 200
const maxSent = 30

const tags = new Map<string, [url: string, kind: Kind | 'inline', event: TagEvent, count: number]>()
const cookies = new Map<string, string>()

/** Counts one event of a tag. First-party addresses that no rule names are nobody's business. */
export function count(reference: string, kind: Kind, event: TagEvent): void {
	const d = judge(reference)
	const url = parse(reference, document.baseURI)
	if (!url || !/^(http|ws)s?:$/.test(url.protocol) || d.party === 'none' || (d.party === 'first' && !d.ruled)) return
	add((url.origin + url.pathname).slice(0, 300), kind, event)
}

/** Counts an inline script of a known vendor that was released, and so ran. */
export function countInline(vendor: string): void {
	if (!vendor) return
	add('inline:' + vendor, 'inline', 'released')
	add('inline:' + vendor, 'inline', 'fired')
}

function add(address: string, kind: Kind | 'inline', event: TagEvent): void {
	const key = event + kind + address
	const tag = tags.get(key)
	if (tag) tag[3]++
	else if (tags.size < maxKept) tags.set(key, [address, kind, event, 1])
}

/** Counts a name under which a script keeps something. */
export function countCookie(name: string, source: 'script' | 'storage'): void {
	if (cookies.size < maxKept && /^[ -~]{1,100}$/.test(name)) cookies.set(name, source)
}

/** The kinds of requests that no element makes, by what the browser calls them. */
const initiators: Record<string, Kind> = { css: 'style', link: 'style', xmlhttprequest: 'connect', fetch: 'connect', beacon: 'ping', ping: 'ping', other: 'other' }

/** What our own report-only policy reports by itself, and so is not counted here. */
const reported = new Set<string>()

function watch(): void {
	try {
		new PerformanceObserver((list) => {
			for (const entry of list.getEntriesByType('resource') as PerformanceResourceTiming[]) if (!reported.has(entry.name)) count(entry.name, initiators[entry.initiatorType] ?? kinds[entry.initiatorType] ?? 'media', 'fired')
		}).observe({ type: 'resource', buffered: true })
	} catch {
		// An old browser: what fires is not counted.
	}
	document.addEventListener('securitypolicyviolation', (e) => {
		const ours = e.originalPolicy.includes(prefix + 'csp')
		if (ours && e.disposition === 'report' && reported.size < maxKept) reported.add(e.blockedURI)
		if (!ours && e.disposition === 'enforce') count(e.blockedURI, 'other', 'stopped')
	})
}

/** Takes some of what has been counted. */
function some<K, V>(from: Map<K, V>): [K, V][] {
	const taken = [...from].slice(0, maxSent)
	for (const [key] of taken) from.delete(key)
	return taken
}

/** Sends what has been counted so far. */
export function send(): void {
	while (tags.size || cookies.size) {
		const report = { page: location.pathname.slice(0, 300), granted: letters(), tags: some(tags).map(([, tag]) => tag), cookies: some(cookies) }
		apply(nativeBeacon, navigator, [prefix + 'events', new Blob([JSON.stringify(report)], { type: 'application/json' })])
	}
}

export function report(): void {
	watch()
	document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && send())
	self.addEventListener('pagehide', send)
}
