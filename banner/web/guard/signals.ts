/** Telling other software what the visitor chose, in its own words. */
import { type Optional, optional, standing } from './page'

type Say = (...words: unknown[]) => void
type Globals = Record<string, any>
const global = self as unknown as Globals

/** Google's consent types by the category that grants them. */
const types: Record<Optional, string[]> = {
	functional: ['functionality_storage', 'personalization_storage'],
	analytics: ['analytics_storage'],
	marketing: ['ad_storage', 'ad_user_data', 'ad_personalization'],
	social: [],
}

function enter(entry: unknown): void {
	const layer = (global.dataLayer ??= [])
	if (typeof layer.push === 'function') layer.push(entry)
}

function push(..._words: unknown[]): void {
	// Google reads an arguments object, not an array.
	enter(arguments)
}

const word = (granted: boolean): string => (granted ? 'granted' : 'denied')

function state(granted: Set<Optional>): Record<string, string> {
	const all: Record<string, string> = { security_storage: 'granted' }
	for (const c of optional) for (const type of types[c]) all[type] = word(granted.has(c))
	return all
}

/**
 * Denies everything before any tag can read it, then grants what stands. gtag is
 * there from now on, as Google's own snippet defines it: a tag that calls it may
 * be released while that snippet, of another category, is held.
 */
export function signalDefault(): void {
	global.gtag ??= push
	push('consent', 'default', { ...state(new Set()), wait_for_update: 500 })
	if (standing.granted.size) push('consent', 'update', state(standing.granted))
	if (standing.made) announce()
}

function announce(): void {
	enter({ event: 'askfirst_consent', askfirst: { categories: [...standing.granted] } })
}

/** Tells a running tag, if it is there; what it answers or throws is its own business. */
function tell(name: string, say: (tag: any) => void): void {
	try {
		if (global[name]) say(global[name])
	} catch {
		// The tag is broken or of another version.
	}
}

/** Tells everything that runs on this page about a choice. */
export function signalChoice(): void {
	const ads = standing.granted.has('marketing')
	const statistics = standing.granted.has('analytics')
	push('consent', 'update', state(standing.granted))
	announce()
	tell('fbq', (fbq: Say) => fbq('consent', ads ? 'grant' : 'revoke'))
	tell('_paq', (paq: unknown[]) => paq.push([statistics ? 'setConsentGiven' : 'forgetConsentGiven']))
	tell('clarity', (clarity: Say) => clarity('consentv2', { ad_Storage: word(ads), analytics_Storage: word(statistics) }))
	tell('uetq', (uetq: { push: Say }) => uetq.push('consent', 'update', { ad_storage: word(ads) }))
	tell('ttq', (ttq) => (ads ? ttq.grantConsent?.() : ttq.revokeConsent?.()))
	tell('pintrk', (pintrk: Say) => pintrk('setconsent', ads))
}
