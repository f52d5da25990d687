/** Telling other software what the visitor chose, in its own words. */
import { type Optional, optional, standing } from './page'

type Say = (...words: unknown[]) => void
type Globals = Record<string, any>
const global = self as unknown as Globals

/** What the site's configuration says of signals. What is absent is as the documentation has it. */
export interface Site {
	google?: { mode?: 'off' | 'advanced'; wait?: number; urlPassthrough?: boolean; adsDataRedaction?: boolean; regions?: string[] }
}
const google = (global.__askfirst_site as Site | undefined)?.google ?? {}

/** Google's consent types by the category that grants them. */
const types: Record<Optional, string[]> = {
	functional: ['functionality_storage', 'personalization_storage'],
	analytics: ['analytics_storage'],
	marketing: ['ad_storage', 'ad_user_data', 'ad_personalization'],
	social: [],
}

function enter(entry: unknown): void {
	const layer = (global.dataLayer ??= [])
	layer.push?.(entry)
}

function push(..._words: unknown[]): void {
	// Google reads an arguments object, not an array.
	if (google.mode !== 'off') enter(arguments)
}

const word = (granted: boolean): string => (granted ? 'granted' : 'denied')

function state(granted: Set<Optional>): Record<string, unknown> {
	const all: Record<string, unknown> = { security_storage: 'granted' }
	for (const c of optional) for (const type of types[c]) all[type] = word(granted.has(c))
	return all
}

/**
 * Denies everything before any tag can read it, then grants what stands. gtag is
 * there from now on, as Google's own snippet defines it: a tag that calls it may
 * be released while that snippet, of another category, is held.
 *
 * Where regions are named, what a regime grants without a choice is the default
 * outside of them only: they can tighten what stands, never loosen it.
 */
export function signalDefault(): void {
	if (google.mode !== 'off') global.gtag ??= push
	const { regions: region, wait: wait_for_update = 500 } = google
	const unasked = region && !standing.made
	push('consent', 'default', { ...state(unasked ? standing.granted : new Set()), wait_for_update })
	if (region) push('consent', 'default', { ...state(new Set()), region, wait_for_update })
	if (google.urlPassthrough) push('set', 'url_passthrough', true)
	if (google.adsDataRedaction) push('set', 'ads_data_redaction', true)
	if (standing.granted.size && !unasked) push('consent', 'update', state(standing.granted))
	if (standing.made) announce()
	for (const [name, say] of Object.entries(queues)) meet(name, say)
}

function announce(): void {
	enter({ event: 'askfirst_consent', askfirst: { categories: [...standing.granted] } })
}

const ads = (): boolean => standing.granted.has('marketing')
const statistics = (): boolean => standing.granted.has('analytics')

/** Tags that take words before they have loaded: they are told as soon as the page makes their queue, before their first request. */
const queues: Record<string, (tag: any, first?: boolean) => void> = {
	uetq: (uetq: { push: Say }, first) => {
		if (first) uetq.push('consent', 'default', { ad_storage: 'denied' })
		if (!first || ads()) uetq.push('consent', 'update', { ad_storage: word(ads()) })
	},
	clarity: (clarity: Say) => clarity('consentv2', { ad_Storage: word(ads()), analytics_Storage: word(statistics()) }),
	_paq: (paq: { push: Say }, first) => {
		if (!first || statistics()) for (const what of ['Consent', 'CookieConsent']) paq.push([(statistics() ? 'set' : 'forget') + what + 'Given'])
	},
}

/** Tags that can be told only while they run; they run only once the visitor has agreed. */
const running: Record<string, (tag: any) => void> = {
	fbq: (fbq: Say) => fbq('consent', ads() ? 'grant' : 'revoke'),
	ttq: (ttq) => ttq[ads() ? 'grantConsent' : 'revokeConsent']?.(),
	pintrk: (pintrk: Say) => pintrk('setconsent', ads()),
}

/** Tells a tag, if it is there; what it answers or throws is its own business. */
function tell(say: (tag: any, first?: boolean) => void, tag: unknown, first?: boolean): void {
	try {
		if (tag) say(tag, first)
	} catch {
		// The tag is broken or of another version.
	}
}

/** Waits for the page to set a global, and tells what it is set to. */
function meet(name: string, say: (tag: any, first?: boolean) => void): void {
	let value = global[name]
	tell(say, value, true)
	Object.defineProperty(self, name, {
		configurable: true,
		get: () => value,
		set(tag) {
			const first = !value
			// The same again is no other tag: var x = window.x = window.x || [].
			if (tag !== value) tell(say, (value = tag), first)
		},
	})
}

/** Tells everything that runs on this page about a choice. */
export function signalChoice(): void {
	push('consent', 'update', state(standing.granted))
	announce()
	for (const [name, say] of Object.entries({ ...queues, ...running })) tell(say, global[name])
}
