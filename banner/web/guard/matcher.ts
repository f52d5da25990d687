/** Decides in the page what the engine decides on the wire. */
import type { Base, Category, Part, Said, Vendor, Verdict } from './table'

/** Whose an address is; none where it leads to no host. */
export type Party = 'none' | 'first' | 'third'

export interface Decision {
	category: Category
	vendor?: Vendor | null
	party: Party
	/** Held whatever the visitor agreed to. */
	never?: boolean
	/** False where nothing decided: a first-party address that no rule names, or an unclassified third party. */
	ruled?: boolean
	/** What has to be learned before this is sure: names of parts of the rules, or a question to the proxy. */
	unsure?: string[] | undefined
}

export const free: Decision = { category: 'necessary', party: 'none' }

/** Looks among names that are exact, or prefixes where they end in an asterisk: a longer prefix beats a shorter one. */
function find(names: Map<string, Verdict>, name: string): Verdict | undefined {
	let found = names.get(name)
	for (let n = Math.min(name.length, 63); !found && n > 0; n--) found = names.get(name.slice(0, n) + '*')
	return found
}

type Signature = [order: number, tokens?: string[], verdict?: Verdict, except?: string]
type Pattern = [expression: string | RegExp, verdict: Verdict, order: number]

/** The rules of one rank: the overrides for a page, or as much of the catalogue as is known. */
function makeLayer(first?: Part) {
	const domains = new Map<string, Verdict>()
	const patterns = new Map<string, Pattern[]>()
	/** The signatures whose longest token begins with these four characters. */
	const begins = new Map<string, Signature[]>()
	let signatures = 0
	const cookies = new Map<string, Verdict>()
	const storage = new Map<string, Verdict>()
	const vendors = new Map<string, Verdict>()

	function add(part: Part): void {
		const said = part.said as Verdict[]
		const enter = (from: Said | undefined, to: Map<string, Verdict>) => {
			for (const name in from) to.set(name, said[from[name] as number] as Verdict)
		}
		enter(part.domains, domains)
		enter(part.cookies, cookies)
		enter(part.storage, storage)
		enter(part.vendors, vendors)
		for (const host in part.urls) patterns.set(host, (part.urls[host] ?? []).map(([expression, n, beyond]): Pattern => [expression, said[n] as Verdict, beyond - expression.length]).sort((a, b) => a[2] - b[2]))
		for (const [tokens, n, snippet] of part.inline ?? []) {
			const key = (tokens[0] as string).slice(0, 4)
			begins.set(key, [...(begins.get(key) ?? []), [signatures++, tokens, said[n], snippet && part.programs]])
		}
	}

	if (first) add(first)
	return {
		add,
		cookies,
		storage,
		vendors,

		/** The pattern that a path and query match best, about any of some hosts; of equals that about the first. */
		url(text: string, hosts: string[]): Verdict | undefined {
			let best: Pattern | undefined
			for (const host of hosts) {
				const found = patterns.get(host)?.find((p) => (p[0] = RegExp(p[0])).test(text))
				if (found && (!best || found[2] < best[2])) best = found
			}
			return best?.[1]
		},

		/** The longest domain that a host is in; one that only the breadth table has decides where no other does. */
		domain(all: string[]): Verdict | undefined {
			const found = all.map((domain) => domains.get(domain)).filter((v) => v)
			return found.find((v) => v?.[0]?.[0] !== '') ?? found[0]
		},

		/** Reads code once for how the longest tokens of signatures begin. */
		code(code: string): Verdict | undefined {
			let best: Signature = [signatures]
			for (let at = 0; at < code.length; at++) {
				for (const s of begins.get(code.slice(at, at + 4)) ?? []) {
					if (s[0] < best[0] && s[1]?.every((token) => code.includes(token)) && !(s[3] && RegExp(s[3]).test(code))) best = s
				}
			}
			return best[2]
		},
	}
}
type Layer = ReturnType<typeof makeLayer>

/** How a page uses an address: rules.Kind by its names. */
export type Kind = 'other' | 'script' | 'style' | 'image' | 'font' | 'media' | 'frame' | 'object' | 'connect' | 'ping' | 'hint' | 'form'

/** How an element shows that it is there to be counted: at most a pixel large, or not shown. */
export type Unseen = '' | 'tiny' | 'hidden'

/** The name of the part that a host is in: FNV-1a of its last two labels. */
function partOf(host: string): string {
	let h = 0x811c9dc5
	for (const c of host.split('.').slice(-2).join('.')) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193)
	return String((h >>> 0) % 64)
}

/** Makes what decides on one page. site is the registrable domain of its host, or that host itself; page is its address. */
export function makeMatcher(base: Partial<Base>, site: string, page: string) {
	const own = parse(page, page)
	const { pages = [], ...always } = base.overrides ?? {}
	const overrides = [...pages.filter(([paths]) => RegExp(paths).test(own?.pathname ?? '/')).map(([, set]) => set), always].map(makeLayer)
	const catalogue = makeLayer()
	const known = new Set<string>()
	const answers = new Map<string, Decision>()
	const seen = new Map<string, Decision>()
	/** The part of names and what is no rule in it, once it is known. */
	let about: Part = {}

	/** Those of some parts that have yet to be learned; undefined for none. */
	function missing(...parts: string[]): string[] | undefined {
		const left = parts.filter((part) => !known.has(part))
		return left.length ? left : undefined
	}

	/** fragment says that the reference is empty or a fragment: it leads to the page itself, unless a base says otherwise. */
	function absolute(url: URL | undefined, fragment: boolean, kind: Kind, unseen: Unseen): Decision {
		if (!url || !/^((http|ws)s?|ftp):$/.test(url.protocol)) return free
		// Browsers read a host with a dot at its end as one without.
		const host = url.hostname.replace(/\.+$/, '')
		const third = !sameSite(host, site)
		const domains = host.split('.').map((_, n, labels) => labels.slice(n).join('.'))
		const text = url.pathname + url.search
		// What is in a frame of the site's own is a page, and a form goes where the visitor sends it.
		const self = third || /^f.*m/.test(kind) ? '' : 'self'
		const label = self && host !== own?.hostname ? host.replace(/\d*\..*/, '.self') : ''
		const party = third ? 'third' : 'first'
		if (fragment && !third) return free
		for (const layer of overrides) {
			const verdict = layer.url(text, [...domains, self, '*']) ?? layer.domain(domains) ?? layer.url(text, [label])
			if (verdict) return decided(verdict, party)
		}
		const unknown: Decision = { category: third ? 'unclassified' : 'necessary', party }
		if (third ? base.ask === 'all' : base.ask && host !== own?.hostname) {
			const question = `?kind=${kind}&unseen=${unseen}&page=${encodeURIComponent(own?.pathname || '/')}&url=${encodeURIComponent(url.href)}`
			return answers.get(question) ?? { ...unknown, unsure: [question] }
		}
		// Of the site's own addresses those of scripts are waited for: what else is a tracker's on the page's host is asked
		// for by one. On another of its hosts it may be asked for by the site's own code: images, calls and pings wait too.
		const unsure = third || (label ? /^[ic]|p/ : /pt/).test(kind) ? missing('names', ...(third || label ? [partOf(host)] : [])) : undefined
		if (unsure) return { ...unknown, unsure }
		const verdict = catalogue.url(text, [...(third ? domains : []), self, '*']) ?? (third ? catalogue.domain(domains) : catalogue.url(text, [label, ...domains.map((domain) => label && domain + '.')]))
		return verdict ? overridden(verdict, party) : unknown
	}

	/** Asks the heuristics about a third party that no rule knows. */
	function guess(url: URL, kind: Kind, unseen: Unseen): boolean {
		const what = `${site} ${unseen}${kind} ${url.hostname}${url.pathname}${url.search}`
		return Object.entries(about.guesses ?? {}).some(([name, holds]) => !base.quiet?.includes(name) && RegExp(holds, 'i').test(what))
	}

	function named(part: string, find: (layer: Layer) => Verdict | undefined): Decision {
		for (const layer of overrides) {
			const verdict = find(layer)
			if (verdict) return decided(verdict, 'none')
		}
		const unsure = missing(part)
		if (unsure) return { ...free, unsure }
		const verdict = find(catalogue)
		return verdict ? overridden(verdict, 'none') : free
	}

	/** What the catalogue says, or what an override says of the vendor that it names. */
	function overridden(verdict: Verdict, party: Party): Decision {
		const id = verdict[0]?.[0]
		for (const layer of overrides) {
			const other = id && layer.vendors.get(id)
			if (other) return decided(other, party)
		}
		return decided(verdict, party)
	}

	return {
		/** Takes in a part of the rules, or what the proxy answered to a question. */
		learn(name: string, what: Part | Decision): void {
			if ('party' in what) {
				if (answers.size > 1000) answers.clear()
				answers.set(name, what)
			} else if (!known.has(name)) {
				known.add(name)
				catalogue.add(what)
				if (name === 'names') about = what
			}
		},

		/**
		 * Decides about a reference; base is the address that it is relative
		 * to. unseen says that the element is too small to be seen, or hidden.
		 */
		url(reference: string, baseURI: string, kind: Kind = 'other', unseen: Unseen = ''): Decision {
			const key = kind + baseURI + ' ' + reference
			let decision = seen.get(key)
			if (!decision) {
				decision = absolute(parse(reference, baseURI), /^[\0- ]*(#|$)/.test(reference), kind, unseen)
				if (base.ask || decision.unsure || !known.has('names')) return decision
				if (seen.size > 1000) seen.clear()
				seen.set(key, decision)
			}
			if (decision.category !== 'unclassified' || decision.ruled || !guess(parse(reference, baseURI) as URL, kind, unseen)) return decision
			return { ...decision, category: 'marketing', ruled: true }
		},

		/** Whether a script of this vendor does no good once the page has been seen, as far as is known. */
		tooLate: (vendor: string): boolean => !!about.reload?.includes(vendor),
		/** Whether a vendor is a container, as far as is known. */
		contains: (vendor: string): boolean => !!about.containers?.includes(vendor),

		/** Decides about the code of an inline script. */
		inline: (code: string): Decision => named('code', (layer) => layer.code(code)),
		cookie: (name: string): Decision => named('names', (layer) => find(layer.cookies, name)),
		storage: (key: string): Decision => named('names', (layer) => find(layer.storage, key)),
	}
}

function decided([vendor, word]: Verdict, party: Party): Decision {
	const never = word === 'never'
	return { category: never ? 'marketing' : (word ?? vendor?.[1] ?? 'marketing'), vendor: vendor?.[0] ? vendor : null, party, never, ruled: true }
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
