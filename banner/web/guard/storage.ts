/** What scripts keep in the browser: cookies and storage keys, by name. */
import type { Decision } from './matcher'
import { apply, cookies, done, setCookie, wrap, wrapProperty } from './native'
import { type Realm, allowed, judgeCookie, judgeStorage } from './page'
import { countCookie } from './reports'

const stores = (): Storage[] => {
	try {
		return [localStorage, sessionStorage]
	} catch {
		return []
	}
}

const removeItem = Storage.prototype.removeItem

const nameOf = (cookie: string): string => (/^\s*([^=;]*?)\s*=/.exec(cookie)?.[1] ?? '')

/** Whether setting this cookie would only take one away. Of attributes that stand twice the last counts; a date without a time is none. */
function expires(cookie: string): boolean {
	const age = /.*;\s*max-age\s*=\s*"?(-?\d+)/i.exec(cookie)?.[1]
	if (age) return +age <= 0
	const date = /.*;\s*expires\s*=([^;]+:[^;]+)/i.exec(cookie)?.[1]
	return Date.parse(date as string) <= Date.now()
}

function mayStore(name: string): boolean {
	countCookie(name, 'script')
	return allowed(judgeCookie(name))
}

export function guardStorage(win: Realm): void {
	wrapProperty(win.Document, 'cookie', (_, [value]) => {
		const cookie = String(value)
		if (!expires(cookie) && !mayStore(nameOf(cookie))) return done
	})
	wrap((win as any).CookieStore, 'set', (_, [first]) => {
		if (!mayStore(String(first?.name ?? first))) return { value: Promise.resolve() }
	})
	wrap(win.Storage, 'setItem', (_, [key]) => {
		const d = judgeStorage(String(key))
		if (d.ruled) countCookie(String(key), 'storage')
		if (!allowed(d)) return done
	})
}

const mustGo = (d: Decision): boolean => !d.unsure && !allowed(d)

/** Removes every cookie and storage key that may not be there. Scripts write storage keys as properties too, which no wrapper sees. */
export function sweep(): void {
	for (const cookie of cookies().split('; ')) {
		const name = nameOf(cookie)
		if (name && mustGo(judgeCookie(name))) expire(name)
	}
	for (const store of stores()) {
		for (const key of Object.keys(store)) if (mustGo(judgeStorage(key))) apply(removeItem, store, [key])
	}
}

/** Expires a cookie over every domain and path that it may have been set for from this page. */
function expire(name: string): void {
	const domains = ['', ...location.hostname.split('.').map((_, n, labels) => '; Domain=' + labels.slice(n).join('.'))]
	const paths = location.pathname.split('/').map((_, n, folders) => folders.slice(0, n + 1).join('/') || '/')
	const secure = location.protocol === 'https:' ? '; Secure' : ''
	for (const domain of domains) for (const path of paths) setCookie(`${name}=; Max-Age=0; Path=${path}${domain}${secure}`)
}
