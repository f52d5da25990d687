/** What holds on this page: the site's settings and what the visitor agreed to. */
import { learnNow } from './learning'
import { type Decision, type Kind, type Unseen, free, makeMatcher, parse, sameSite } from './matcher'
import { cookies, get } from './native'
import type { Base, Category } from './table'

export const optional = ['functional', 'analytics', 'marketing', 'social'] as const
export type Optional = (typeof optional)[number]

/** A window and its constructors: the page's, or that of a frame that has no address of its own. */
export type Realm = Window & typeof globalThis

export const element = document.currentScript as HTMLScriptElement
const setting = (name: string, otherwise: string): string => get(element, 'data-' + name) ?? otherwise

/** The address under which the proxy answers itself, with a slash at its end. It is whole: a page's <base> may lead paths elsewhere. */
export const prefix = new URL('.', element.src).href
export const regime = setting('regime', 'opt-in')
export const revision = setting('revision', '1')
/** Whether the page's policy refuses whom the visitor has not agreed to: what more is agreed to needs the page anew. */
export const locked = element.hasAttribute('data-locked')
/** From when on a choice must be to stand, in seconds: before, the visitor could not know of a category that the site uses now. */
const since = +setting('since', '0')
const site = setting('site', location.hostname)
/** Whether the site says that the visitor is a child: nothing is granted and nothing asked. */
export const child = get(element, 'data-audience') === 'child'
const unclassifiedPass = setting('unclassified', 'pass') === 'pass' && !child

declare global {
	interface Window {
		__askfirst_rules?: Partial<Base>
	}
}

const base = self.__askfirst_rules ?? {}
delete self.__askfirst_rules
/** The revision of the parts of the rules. */
export const parts = base.parts
export const matcher = makeMatcher(base, site, location.href)

/** Whether the browser tells scripts of Global Privacy Control. */
export const objects = (): boolean => !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl

/** The categories in a consent cookie's letters. */
const spelled = (letters: string): Set<Optional> => new Set(optional.filter((c) => letters.includes(c[0] as string)))

export interface Standing {
	made: boolean
	granted: Set<Optional>
}

/** The choice in the consent cookie; undefined where there is none that counts. */
export function chosen(): Standing | undefined {
	const m = /(?:^|; )askfirst=1\.(\d+)\.(-|f?a?m?s?)\.(\d+)\.[\w-]{22}(?:;|$)/.exec(cookies())
	if (child || !m || !m[2] || m[1] !== revision || +(m[3] as string) > Date.now() / 1000 + 60 || +(m[3] as string) < since) return
	return { made: true, granted: spelled(m[2]) }
}

/** What stands now. A shared cache may have answered with the page of somebody who has not chosen: the cookie knows better. */
export const standing: Standing = chosen() ?? { made: setting('made', '0') === '1', granted: spelled(setting('granted', '-')) }

/** The vendors, and families of vendors, that the visitor let act on this page alone. */
export const once = new Set([setting('once', '')].filter((id) => id))

/** A vendor and those that share its code: facebook-like is filled by what facebook-sdk loads. */
export const family = (id: string, category: string): string => category + ' ' + id.split('-')[0]

/** The categories as the consent cookie spells them. */
export const letters = (granted = standing.granted): string => optional.filter((c) => granted.has(c)).map((c) => c[0]).join('') || '-'

export function grants(category: string): boolean {
	if (category === 'unclassified') return unclassifiedPass || standing.granted.has('marketing')
	return category === 'necessary' || standing.granted.has(category as Optional)
}

/** Whether an element that says of itself whose it is may act. */
export const allowedFor = (category: string, vendor: string): boolean =>
	allowed({ category: category as Category, vendor: vendor ? [vendor, category as Category, matcher.contains(vendor) ? 1 : 0] : null, never: category === 'never' })

export function allowed({ category, vendor, never, unsure }: Pick<Decision, 'category' | 'vendor' | 'never' | 'unsure'>): boolean {
	if (never || unsure) return false
	if (vendor && (once.has(vendor[0]) || once.has(family(vendor[0], vendor[1])) || (vendor[2] && category !== 'necessary' && standing.granted.size > 0))) return true
	return grants(category)
}

/** Whether the page is loaded anew for every choice. */
export const anew = element.hasAttribute('data-anew')

/** Whether a decision that is not sure yet is waited for, made sure at once, or taken for free because the thing acts already. */
type Patience = 'waiting' | 'now' | 'late'
let patience: Patience = 'waiting'

/** Has all that is decided meanwhile be decided with the given patience. */
export function being<T>(how: Patience, decide: () => T): T {
	const before = patience
	patience = how
	try {
		return decide()
	} finally {
		patience = before
	}
}

const never = JSON.stringify(base).includes('"never"')

/** Where the visitor agreed to all and nothing is held always, nothing has to be found out. */
export const nothingHeld = (): boolean => standing.granted.size === optional.length && !never

function settled(decide: () => Decision): Decision {
	let d = decide()
	if (!d.unsure) return d
	if (patience === 'late' || nothingHeld()) return { ...d, unsure: undefined, category: 'necessary' }
	if (patience === 'now') {
		learnNow(d.unsure)
		d = decide()
	}
	return d
}

/** Decides about a reference. Should deciding fail, a third party is held. */
export function judge(reference: unknown, kind?: Kind, unseen?: Unseen): Decision {
	const text = String(reference)
	try {
		return settled(() => matcher.url(text, document.baseURI, kind, unseen))
	} catch {
		const host = parse(text, location.href)?.hostname
		const own = !host || sameSite(host, site)
		return { ...free, category: own ? 'necessary' : 'marketing', party: own ? 'first' : 'third' }
	}
}

export const judgeCode = (code: string): Decision => (patience === 'late' ? settled : now)(() => matcher.inline(code))
export const judgeCookie = (name: string): Decision => now(() => matcher.cookie(name))
export const judgeStorage = (key: string): Decision => now(() => matcher.storage(key))

const now = (decide: () => Decision): Decision => being('now', () => settled(decide))
