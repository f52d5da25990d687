/** What holds on this page: the site's settings and what the visitor agreed to. */
import { type Decision, type Kind, Matcher, parse, sameSite } from './matcher'
import { cookieAccess, apply, get } from './native'
import type { Table } from './table'

export const optional = ['functional', 'analytics', 'marketing', 'social'] as const
export type Optional = (typeof optional)[number]

/** A window and its constructors: the page's, or that of a frame that has no address of its own. */
export type Realm = Window & typeof globalThis

export const element = (document.currentScript ?? document.querySelector('[data-askfirst-guard]')) as HTMLScriptElement
const setting = (name: string, otherwise: string): string => get(element, 'data-' + name) ?? otherwise

/** The path under which the proxy answers itself, with a slash at its end. */
export const prefix = new URL('.', element.src).pathname
export const regime = setting('regime', 'opt-in')
export const revision = setting('revision', '1')
/** Whether the page's policy refuses whom the visitor has not agreed to: what more is agreed to needs the page anew. */
export const locked = element.hasAttribute('data-locked')
const site = setting('site', location.hostname)
const unclassifiedPass = setting('unclassified', 'pass') === 'pass'

declare global {
	interface Window {
		__askfirst_rules?: Partial<Table>
	}
}

export const matcher = new Matcher(self.__askfirst_rules ?? {}, site, location.href)
delete self.__askfirst_rules

/** The categories in a consent cookie's letters. */
const spelled = (letters: string): Set<Optional> => new Set(optional.filter((c) => letters.includes(c.charAt(0))))

export interface Standing {
	made: boolean
	granted: Set<Optional>
}

/** The choice in the consent cookie; undefined where there is none that counts. */
export function chosen(): Standing | undefined {
	const cookies: string = cookieAccess?.get ? apply(cookieAccess.get, document, []) : ''
	const m = /(?:^|; )askfirst=1\.(\d+)\.(-|f?a?m?s?)\.(\d+)\.[\w-]{22}(?:;|$)/.exec(cookies)
	if (!m || !m[2] || m[1] !== revision || Number(m[3]) > Date.now() / 1000 + 60) return
	return { made: true, granted: spelled(m[2]) }
}

/** What stands now. A shared cache may have answered with the page of somebody who has not chosen: the cookie knows better. */
export const standing: Standing = chosen() ?? { made: setting('made', '0') === '1', granted: spelled(setting('granted', '-')) }

/** The vendors that the visitor let act on this page alone. */
export const once = new Set([setting('once', '')])

/** The categories as the consent cookie spells them. */
export const letters = (): string => optional.filter((c) => standing.granted.has(c)).map((c) => c.charAt(0)).join('') || '-'

export function grants(category: string): boolean {
	switch (category) {
		case 'necessary':
			return true
		case 'unclassified':
			return unclassifiedPass || standing.granted.has('marketing')
		default:
			return standing.granted.has(category as Optional)
	}
}

export function allowed({ category, vendor, never }: Pick<Decision, 'category' | 'vendor' | 'never'>): boolean {
	if (never) return false
	if (vendor && (once.has(vendor[0]) || (vendor[2] && category !== 'necessary' && standing.granted.size > 0))) return true
	return grants(category)
}

/** Decides about a reference. Should deciding fail, a third party is held. */
export function judge(reference: unknown, kind?: Kind, unseen?: boolean): Decision {
	const text = String(reference)
	try {
		return matcher.url(text, document.baseURI, kind, unseen)
	} catch {
		const host = parse(text, location.href)?.hostname
		const own = !host || sameSite(host, site)
		return { category: own ? 'necessary' : 'marketing', vendor: undefined, party: own ? 'first' : 'third', never: false, ruled: false }
	}
}
