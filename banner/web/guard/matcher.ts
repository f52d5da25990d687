/** Decides in the page what the engine decides on the wire. */
import type { Category, Heuristic, RuleSet, Table, Target, URLRule, Vendor, Word } from './table'

/** Whose an address is; none where it leads to no host. */
export type Party = 'none' | 'first' | 'third'

export interface Decision {
	category: Category
	vendor: Vendor | undefined
	party: Party
	/** Held whatever the visitor agreed to. */
	never: boolean
	/** False where nothing decided: a first-party address that no rule names, or an unclassified third party. */
	ruled: boolean
}

const free: Decision = { category: 'necessary', vendor: undefined, party: 'none', never: false, ruled: false }

/** Reports whether a glob matches the whole text: * stands for any characters, $ at its end for the end itself. */
export function glob(pattern: string, text: string): boolean {
	if (pattern.endsWith('$')) pattern = pattern.slice(0, -1)
	let p = 0
	let t = 0
	let star = -1
	let mark = 0
	while (t < text.length) {
		if (pattern[p] === '*') {
			star = p++
			mark = t
		} else if (pattern[p] === text[t]) {
			p++
			t++
		} else if (star >= 0) {
			p = star + 1
			t = ++mark
		} else {
			return false
		}
	}
	while (pattern[p] === '*') p++
	return p === pattern.length
}

/** Names that are exact, or prefixes where they end in an asterisk: a longer prefix beats a shorter one. */
class Names {
	private exact: Map<string, Target> | undefined
	private prefixes: [string, Target][] = []

	constructor(private rules: [string, Target][] = []) {}

	find(name: string): Target | undefined {
		if (!this.exact) {
			this.exact = new Map(this.rules)
			for (const [n, target] of this.rules) if (n.endsWith('*')) this.prefixes.push([n.slice(0, -1), target])
			this.prefixes.sort((a, b) => b[0].length - a[0].length)
		}
		return this.exact.get(name) ?? this.prefixes.find(([prefix]) => name.startsWith(prefix))?.[1]
	}
}

/** An absolute address, taken apart once for all rules. */
interface Address {
	host: string
	/** The host and the domains that it is in, longest first. */
	domains: string[]
	path: string
	/** The keys and values of the query as they were written. */
	query: [string, string][]
	/** Path and query. */
	text: string
}

interface Pattern {
	order: number
	rule: URLRule
	/** What must occur in path and query of whatever matches. */
	literal: string
}

/** A signature, by the longest of its tokens. */
type Signature = [order: number, anchor: string]

/** A number of 16 bits for the four characters at a place. */
const gram = (text: string, at: number): number => (((text.charCodeAt(at) * 31 + text.charCodeAt(at + 1)) * 31 + text.charCodeAt(at + 2)) * 31 + text.charCodeAt(at + 3)) & 0xffff

/** The rules of one rank. What is asked for first is worked out then. */
class Layer {
	private patterns: Map<string, Pattern[]> | undefined
	private anchors: Map<number, Signature[]> | undefined
	/** Which grams some anchor begins with. */
	private begins = new Uint8Array(1 << 16)
	readonly marks: Names
	readonly cookies: Names
	readonly storage: Names

	/** extra tells targets that only decide where no other domain does. */
	constructor(
		private set: RuleSet,
		private extra: (target: Target) => boolean,
	) {
		this.marks = new Names(set.marks)
		this.cookies = new Names(set.cookies)
		this.storage = new Names(set.storage)
	}

	/** named says whether patterns that name a host are looked at. */
	url(a: Address, named: boolean): Target | undefined {
		this.patterns ??= byHost(this.set.urls ?? [])
		let best: Pattern | undefined
		for (const host of named ? ['*', ...a.domains] : ['*']) {
			const first = this.patterns.get(host)?.find((p) => a.text.includes(p.literal) && matches(p.rule, a))
			if (first && (!best || first.order < best.order)) best = first
		}
		return best?.rule[3]
	}

	domain(a: Address): Target | undefined {
		let other: Target | undefined
		for (const domain of a.domains) {
			const target = own(this.set.domains, domain)
			if (target !== undefined && !this.extra(target)) return target
			other ??= target
		}
		return other
	}

	/** Reads code once for the anchors of signatures, of which few occur by chance. */
	code(code: string): Target | undefined {
		const rules = this.set.inline ?? []
		if (!this.anchors) {
			this.anchors = byGram(rules.map(([tokens]) => tokens.reduce((a, b) => (b.length > a.length ? b : a), '')))
			for (const key of this.anchors.keys()) this.begins[key] = 1
		}
		let best = rules.length
		for (let at = 0; at + 4 <= code.length; at++) {
			const key = gram(code, at)
			if (!this.begins[key]) continue
			for (const [order, anchor] of this.anchors.get(key) ?? []) {
				if (order < best && code.startsWith(anchor, at) && rules[order]?.[0].every((token) => code.includes(token))) best = order
			}
		}
		return rules[best]?.[1]
	}

	vendor(id: string): Target | undefined {
		return own(this.set.byVendor, id)
	}
}

const own = (targets: Record<string, Target> | undefined, key: string): Target | undefined => (targets && Object.prototype.hasOwnProperty.call(targets, key) ? targets[key] : undefined)

function byHost(rules: URLRule[]): Map<string, Pattern[]> {
	const patterns = new Map<string, Pattern[]>()
	rules.forEach((rule, order) => {
		const literal = rule[1].replace(/\$$/, '').split('*').reduce((a, b) => (b.length > a.length ? b : a))
		const pattern = { order, rule, literal }
		const of = patterns.get(rule[0])
		if (of) of.push(pattern)
		else patterns.set(rule[0], [pattern])
	})
	return patterns
}

function byGram(anchors: string[]): Map<number, Signature[]> {
	const grams = new Map<number, Signature[]>()
	anchors.forEach((anchor, order) => {
		const key = gram(anchor, 0)
		const of = grams.get(key)
		if (of) of.push([order, anchor])
		else grams.set(key, [[order, anchor]])
	})
	return grams
}

function matches([, path, query]: URLRule, a: Address): boolean {
	return glob(path, a.path) && query.every(([key, value]) => a.query.some(([k, v]) => k === key && glob(value, v)))
}

function taken(url: URL): Address {
	// Browsers read a host with a dot at its end as one without.
	const host = url.hostname.replace(/\.+$/, '')
	const query = url.search.slice(1)
	return {
		host,
		domains: host.split('.').map((_, n, labels) => labels.slice(n).join('.')),
		path: url.pathname,
		query: query.split('&').map((part) => {
			const at = part.indexOf('=')
			return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
		}),
		text: url.pathname + url.search,
	}
}

/** How a page uses an address: rules.Kind by its names. */
export type Kind = 'other' | 'script' | 'style' | 'image' | 'font' | 'media' | 'frame' | 'object' | 'connect' | 'ping' | 'hint' | 'form'

/** Whether a query is long and has a run in it of letters and digits as identifiers have. */
function unique(query: string): boolean {
	return query.length >= 40 && (query.match(/[0-9a-z-]{12,}/gi) ?? []).some((run) => (run.match(/\d/g) ?? []).length >= 4)
}

/** What hosts that count visitors or serve ads are called by those who run them. */
const trackerHost =
	/(^|\.)(ads?|adserv|adserver|adtags?|adv|affiliate|analytics|banners?|beacon|count|counter|hitcount|s?metrics|pixel|pixelcounter|stats?|telemetry|track|tracker|tracking|webtrack)\d*\.[^.]+\./

export class Matcher {
	private overrides: Layer[]
	private catalogue: Layer
	private seen = new Map<string, Decision>()

	/** site is the registrable domain of the page's host, or that host itself; page is its address. */
	constructor(
		private table: Partial<Table>,
		private site: string,
		page: string,
	) {
		const path = parse(page, page)?.pathname ?? '/'
		const { pages = [], ...always } = table.overrides ?? {}
		this.overrides = [...pages.filter(([paths]) => glob(paths, path)).map(([, set]) => set), always].map((set) => new Layer(set, () => false))
		this.catalogue = new Layer(table, (target) => !table.vendors?.[target as number]?.[0])
	}

	/**
	 * Decides about a reference; base is the address that it is relative to.
	 * unseen says that the element is too small to be seen, or hidden.
	 */
	url(reference: string, base: string, kind: Kind = 'other', unseen = false): Decision {
		const key = base + ' ' + reference
		let decision = this.seen.get(key)
		if (!decision) {
			if (this.seen.size > 1000) this.seen.clear()
			this.seen.set(key, (decision = this.absolute(parse(reference, base), /^[\0- ]*(#|$)/.test(reference))))
		}
		if (decision.category !== 'unclassified' || decision.ruled || !this.guess(parse(reference, base), kind, unseen)) return decision
		return { ...decision, category: 'marketing', ruled: true }
	}

	/** own says that the reference is empty or a fragment: it leads to the page itself, unless a base says otherwise. */
	private absolute(url: URL | undefined, own: boolean): Decision {
		if (!url || !/^(https?|wss?|ftp):$/.test(url.protocol)) return free
		const a = taken(url)
		const party = sameSite(a.host, this.site) ? 'first' : 'third'
		if (own && party === 'first') return free
		for (const layer of this.overrides) {
			const target = layer.url(a, true) ?? layer.domain(a)
			if (target !== undefined) return this.decision(target, party)
		}
		const third = party === 'third'
		const target = this.catalogue.url(a, third) ?? (third ? this.catalogue.domain(a) : undefined)
		if (target !== undefined) return this.overridden(target, party)
		return { ...free, category: third ? 'unclassified' : 'necessary', party }
	}

	/** Asks the heuristics about a third party that no rule knows. */
	private guess(url: URL | undefined, kind: Kind, unseen: boolean): boolean {
		const asked = (h: Heuristic) => !!this.table.heuristics?.includes(h)
		if (url && asked('tracker-host') && /^(script|frame)$/.test(kind) && trackerHost.test(url.hostname)) return true
		switch (kind) {
			case 'image':
				return (unseen && asked('pixel')) || (!!url?.pathname.endsWith('.gif') && unique(url.search.slice(1)) && asked('gif-query'))
			case 'frame':
				return unseen && asked('hidden-frame')
			case 'ping':
				return asked('beacon')
		}
		return false
	}

	/** Decides about the code of an inline script. */
	inline(code: string): Decision {
		for (const layer of this.overrides) {
			const target = layer.code(code)
			if (target !== undefined) return this.decision(target, 'none')
		}
		return this.overridden(this.catalogue.code(code), 'none')
	}

	cookie(name: string): Decision {
		for (const layer of this.overrides) {
			const target = layer.cookies.find(name)
			if (target !== undefined) return this.decision(target, 'none')
		}
		return this.overridden(this.catalogue.cookies.find(name), 'none')
	}

	storage(key: string): Decision {
		return this.overridden(this.catalogue.storage.find(key), 'none')
	}

	/** Decides about a mark in HTML: .class, #id, element or [attribute]. */
	mark(mark: string): Decision {
		return this.overridden(this.catalogue.marks.find(mark), 'none')
	}

	vendor(id: string): Vendor | undefined {
		return this.table.vendors?.find((vendor) => vendor[0] === id)
	}

	/** A vendor and those that share its code: facebook-like is filled by what facebook-sdk loads. */
	family(id: string): Vendor[] {
		const self = this.vendor(id)
		const name = (v: Vendor) => v[0].split('-')[0]
		return self ? (this.table.vendors ?? []).filter((v) => v[1] === self[1] && name(v) === name(self)) : []
	}

	/** What the catalogue says, or what an override says of the vendor that it names. */
	private overridden(target: Target | undefined, party: Party): Decision {
		if (target === undefined) return free
		const said = this.decision(target, party)
		for (const layer of this.overrides) {
			const other = said.vendor && layer.vendor(said.vendor[0])
			if (other !== undefined) return this.decision(other, party)
		}
		return said
	}

	private decision(target: Target, party: Party): Decision {
		const [index, word]: [number?, Word?] = typeof target === 'object' ? target : typeof target === 'number' ? [target] : [undefined, target]
		const vendor = index === undefined ? undefined : this.table.vendors?.[index]
		const never = word === 'never'
		return { category: never ? 'marketing' : (word ?? vendor?.[1] ?? 'marketing'), vendor: vendor?.[0] ? vendor : undefined, party, never, ruled: true }
	}
}

/** Reports whether a host belongs to a site. A site of one label, or an IP address, is that host alone. */
export const sameSite = (host: string, site: string): boolean => host === site || (/\.[^.]*[^.\d]/.test(site) && host.endsWith('.' + site))

export function parse(reference: string, base: string): URL | undefined {
	try {
		return new URL(reference, base)
	} catch {
		return undefined
	}
}
