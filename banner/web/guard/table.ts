/** The rules as the engine writes them for the page (rules.Engine.AppendTable). */

export type Category = 'necessary' | 'functional' | 'analytics' | 'marketing' | 'social' | 'unclassified'

/** id, category, 1 for a container. One without an id stands for all domains of a category that no catalogue entry has. */
export type Vendor = [id: string, category: Category, container: 0 | 1]

/** What a rule names: the index of a vendor, a category without one, or both; "never" is held whatever was agreed to. */
export type Target = number | Word | [vendor: number, word: Word]
export type Word = Category | 'never'

export type URLRule = [host: string, path: string, query: [key: string, value: string][], target: Target]

/** Patterns and signatures stand in the order in which they decide. */
export interface RuleSet {
	domains?: Record<string, Target>
	urls?: URLRule[]
	inline?: [tokens: string[], target: Target][]
	marks?: [mark: string, target: Target][]
	cookies?: [name: string, target: Target][]
	storage?: [key: string, target: Target][]
	byVendor?: Record<string, Target>
}

export type Heuristic = 'pixel' | 'hidden-frame' | 'noscript-image' | 'beacon' | 'gif-query' | 'tracker-host'

export interface Table extends RuleSet {
	vendors: Vendor[]
	/** Those that are asked about a third party that no rule knows. */
	heuristics?: Heuristic[]
	overrides?: RuleSet & {
		/** Overrides for the pages whose path matches a glob, looked at first. */
		pages?: [paths: string, set: RuleSet][]
	}
}
