/** Decides in the page what the engine decides on the wire. */
import type { Category, RuleSet, Table, Target, URLRule, Vendor, Word } from './table'

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
	private exact: Map<string, Target>
	private prefixes: [string, Target][]

	constructor(rules: [string, Target][] = []) {
		this.exact = new Map(rules)
		this.prefixes = rules.filter(([name]) => name.endsWith('*')).map(([name, target]): [string, Target] => [name.slice(0, -1), target])
		this.prefixes.sort((a, b) => b[0].length - a[0].length)
	}

	find(name: string): Target | undefined {
		return this.exact.get(name) ?? this.prefixes.find(([prefix]) => name.startsWith(prefix))?.[1]
	}
}

/** The rules of one rank. */
class Layer {
	private domains: Map<string, Target>
	private urls = new Map<string, [order: number, rule: URLRule][]>()
	private inline: [string[], Target][]
	private vendors: Map<string, Target>
	readonly marks: Names
	readonly cookies: Names
	readonly storage: Names

	constructor(set: RuleSet) {
		this.domains = new Map(Object.entries(set.domains ?? {}))
		this.vendors = new Map(Object.entries(set.byVendor ?? {}))
		this.inline = set.inline ?? []
		this.marks = new Names(set.marks)
		this.cookies = new Names(set.cookies)
		this.storage = new Names(set.storage)
		set.urls?.forEach((rule, order) => {
			const rules = this.urls.get(rule[0])
			if (rules) rules.push([order, rule])
			else this.urls.set(rule[0], [[order, rule]])
		})
	}

	/** named says whether patterns that name a host are looked at. */
	url(host: string, url: URL, named: boolean): Target | undefined {
		let best: [number, URLRule] | undefined
		for (const h of ['*', ...(named ? suffixes(host) : [])]) {
			const first = this.urls.get(h)?.find(([, rule]) => matches(rule, url))
			if (first && (!best || first[0] < best[0])) best = first
		}
		return best?.[1][3]
	}

	domain(host: string): Target | undefined {
		for (const h of suffixes(host)) {
			const target = this.domains.get(h)
			if (target !== undefined) return target
		}
		return
	}

	code(code: string): Target | undefined {
		return this.inline.find(([tokens]) => tokens.every((token) => code.includes(token)))?.[1]
	}

	vendor(id: string): Target | undefined {
		return this.vendors.get(id)
	}
}

/** A host and the domains that it is in, longest first. */
const suffixes = (host: string): string[] => host.split('.').map((_, n, labels) => labels.slice(n).join('.'))

function matches([, path, query]: URLRule, url: URL): boolean {
	return glob(path, url.pathname) && query.every(([key, value]) => parts(url).some(([k, v]) => k === key && glob(value, v)))
}

/** The keys and values of a query as they were written. */
const parts = (url: URL): [string, string][] =>
	url.search
		.slice(1)
		.split('&')
		.map((part) => {
			const at = part.indexOf('=')
			return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
		})

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
		this.overrides = [...pages.filter(([paths]) => glob(paths, path)).map(([, set]) => set), always].map((set) => new Layer(set))
		this.catalogue = new Layer(table)
	}

	/** Decides about a reference; base is the address that it is relative to. */
	url(reference: string, base: string): Decision {
		const key = base + ' ' + reference
		let decision = this.seen.get(key)
		if (!decision) {
			if (this.seen.size > 1000) this.seen.clear()
			this.seen.set(key, (decision = this.absolute(parse(reference, base), /^[\0- ]*(#|$)/.test(reference))))
		}
		return decision
	}

	/** own says that the reference is empty or a fragment: it leads to the page itself, unless a base says otherwise. */
	private absolute(url: URL | undefined, own: boolean): Decision {
		if (!url || !/^(https?|wss?|ftp):$/.test(url.protocol)) return free
		const host = url.hostname.replace(/\.+$/, '')
		const party = sameSite(host, this.site) ? 'first' : 'third'
		if (own && party === 'first') return free
		for (const layer of this.overrides) {
			const target = layer.url(host, url, true) ?? layer.domain(host)
			if (target !== undefined) return this.decision(target, party)
		}
		const third = party === 'third'
		const target = this.catalogue.url(host, url, third) ?? (third ? this.catalogue.domain(host) : undefined)
		if (target !== undefined) return this.overridden(target, party)
		return { ...free, category: third ? 'unclassified' : 'necessary', party }
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
		return { category: never ? 'marketing' : (word ?? vendor?.[1] ?? 'marketing'), vendor, party, never, ruled: true }
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
