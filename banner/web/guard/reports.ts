/**
 * Counts of what was held, released, stopped and fired, and under which choice, sent together when the page is left, without anything
 * that names a visitor. A page that is come back to tells of what is new when it is left again; nothing is told twice.
 */
import { kinds } from './held'
import { type Kind, parse } from './matcher'
import { apply, nativeBeacon } from './native'
import { allowed, judge, letters, prefix } from './page'

export type TagEvent = 'held' | 'released' | 'fired' | 'stopped'

/** How many tags, and how many cookies, are kept. */
const maxKept = 200
/** A report in bytes; in one that is too long tags make way for so many cookies. */
const maxReport = 2048
const fewNames = 12

const tags = new Map<string, [url: string, kind: Kind | 'inline', event: TagEvent, count: number, granted: string]>()
const cookies = new Map<string, [name: string, source: string, granted: string]>()

/** Counts one event of a tag. First-party addresses that no rule names are nobody's business. */
export function count(reference: string, kind: Kind, event: TagEvent): void {
	const d = judge(reference)
	if (d.party !== 'third' && !d.ruled) return
	const url = parse(reference, document.baseURI) as URL
	add((url.origin + url.pathname).slice(0, 300), kind, event, event === 'fired' && !allowed(d))
}

/** Counts an inline script of a known vendor that was released, and so ran. */
export function countInline(vendor: string): void {
	if (!vendor) return
	add('inline:' + vendor, 'inline', 'released')
	add('inline:' + vendor, 'inline', 'fired')
}

function add(address: string, kind: Kind | 'inline', event: TagEvent, anyway?: boolean): void {
	const key = !anyway + event + kind + address + letters()
	const tag = tags.get(key)
	if (tag) tag[3]++
	else if (tags.size < maxKept) tags.set(key, [address, kind, event, 1, letters()])
}

/** Counts a name under which a script keeps something. */
export function countCookie(name: string, source: 'script' | 'storage'): void {
	if (cookies.size < maxKept && /^[ -~]{1,100}$/.test(name)) cookies.set(name + letters(), [name, source, letters()])
}

/** The kinds of requests that no element makes, by what the browser calls them. */
const initiators: Record<string, Kind> = { css: 'style', link: 'style', xmlhttprequest: 'connect', fetch: 'connect', beacon: 'ping', ping: 'ping', other: 'other' }

/** What our own report-only policy reports by itself, and so is not counted here. */
const reported = new Set<string>()

export function watch(): void {
	document.addEventListener('securitypolicyviolation', (e) => {
		const ours = e.originalPolicy.includes(new URL(prefix + 'csp').pathname)
		if (e.disposition === 'enforce') ours || count(e.blockedURI, 'other', 'stopped')
		else if (ours) reported.add(e.blockedURI)
	})
	// Last, as an old browser may refuse: then what fires is not counted.
	new PerformanceObserver((list) => {
		for (const entry of list.getEntries() as PerformanceResourceTiming[]) if (!reported.has(entry.name)) count(entry.name, initiators[entry.initiatorType] ?? kinds[entry.initiatorType] ?? 'media', 'fired')
	}).observe({ type: 'resource', buffered: true })
}

/**
 * Sends what has been counted so far in one report. Where that would be too long, chance leaves out from the second half, and it
 * is said how much: first stands what fired and was not agreed to, then what fired; and none stays unseen over many views.
 */
export function send(): void {
	if (!tags.size && !cookies.size) return
	const told = [...tags].sort().map(([, tag]) => tag)
	const names = [...cookies.values()]
	let body
	for (let more = 0; (body = JSON.stringify({ page: location.pathname.slice(0, 300), tags: told, cookies: names, more })).length > maxReport; more++) {
		const list: unknown[] = names[fewNames] ? names : told
		list.splice((list.length * (Math.random() + 1)) / 2, 1)
	}
	tags.clear()
	cookies.clear()
	apply(nativeBeacon, navigator, [prefix + 'events', body])
}
