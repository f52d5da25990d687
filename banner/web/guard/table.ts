/** The rules as the engine writes them for the page (rules.Table). */

export type Category = 'necessary' | 'functional' | 'analytics' | 'marketing' | 'social' | 'unclassified'

/** id, category, 1 for a container. One without an id stands for all domains of a category that no catalogue entry has. */
export type Vendor = [id: string, category: Category, container: 0 | 1]

/** What a rule says: a vendor, and where an override says another category than the vendor's, that; "never" is held whatever was agreed to. */
export type Verdict = [vendor: Vendor | null, word?: Category | 'never']

/** What a rule says, by its index among all that the part's rules say. */
export type Said = Record<string, number>

/** One part of the rules. Names end in an asterisk where they are prefixes. */
export interface Part {
	said?: Verdict[]
	domains?: Said
	/** By host, one with a dot at its end where the host is of the page's own site: expressions of path and query. Of those that match the one decides whose number less its own length is the least. */
	urls?: Record<string, [expression: string, said: number, beyond: number][]>
	/** Signatures stand in the order in which they decide. With a 1, programs do not have them. */
	inline?: [tokens: string[], said: number, snippet?: 1][]
	/** What programs of sites look like. */
	programs?: string
	cookies?: Said
	storage?: Said
	vendors?: Said
	/** The heuristics: expressions of the site, sign, kind and address, as in "shop.example hiddenimage x.example/a.gif?b". */
	guesses?: Record<string, string>
	/** The ids of vendors that are containers. */
	containers?: string[]
	/** The ids of vendors whose scripts cannot run late. */
	reload?: string[]
}

/** What the guard knows from the start. */
export interface Base {
	/** The revision of the parts. */
	parts: string
	/** Whose addresses the proxy itself is asked about: it has lists of the operator's, or knows of aliases in DNS. */
	ask?: 'all' | 'first'
	/** Those that are not asked about a third party that no rule knows. */
	quiet?: string[]
	overrides?: Part & {
		/** Overrides for the pages whose path an expression holds for, looked at first. */
		pages?: [paths: string, set: Part][]
	}
}
