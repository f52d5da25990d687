/**
 * Functions that stand in for those of tags. Sites call these by name, in handlers
 * that go on with something else, and that would end there while the tag is held
 * and nobody has defined its function. They do nothing but call back what a link or
 * a form may wait for. Each goes before its tag is released: most tags do not start
 * where they find that they are there.
 */
import type { allowedFor } from './page'

/** A function, or an object's and its own, as in "_gaq.push", with its tag's vendor and the category that this needs. */
export type Call = [path: string, vendor: string, category: string]

type Names = Record<string, any>

/** What a tag is asked to call when it has sent something. */
const callback = /^(hit|event_?)?callback$/i

/** Calls what words, but for the first, ask to be called. Where they are kept for their tag, it does not do so again. */
function answer(words: Names, kept: boolean, depth = 0): void {
	for (const [name, word] of Object.entries(words)) {
		if (typeof word === 'function' && (depth ? callback.test(name) : name > '0')) {
			if (kept) delete words[name]
			setTimeout(word, 0)
		} else if (word && typeof word === 'object' && depth < 2) answer(word, kept, depth + 1)
	}
}

/** Has a function stand in under a name, in front of an array's where a site keeps one for its tag. Returns what takes it away. */
function stand(owner: Names, name: string): () => void {
	const before = owner[name]
	function substitute(this: unknown, ...words: unknown[]): unknown {
		try {
			answer(words, !!before)
		} catch {
			// What is frozen and kept is not answered.
		}
		return before?.apply(this, words)
	}
	owner[name] = substitute
	return () => {
		if (owner[name] === substitute) owner[name] = before
	}
}

/** Has functions stand in for those that nobody has defined once the page's own snippets have run. */
export function standIn(calls: Call[], allowed: typeof allowedFor): void {
	const global = self as unknown as Names
	const standing = new Map<() => void, () => boolean>()
	const put = ([path, vendor, category]: Call): void => {
		const may = () => allowed(category, vendor)
		if (may()) return
		const [name, method] = path.split('.') as [string, string?]
		const found = global[name]
		if (!method) {
			if (found === undefined) standing.set(stand(global, name), may)
			return
		}
		const owner = found ?? (global[name] = {})
		if (owner !== found) standing.set(() => owner === global[name] && (global[name] = found), may)
		if (owner[method] === undefined || owner[method] === Array.prototype[method as never]) standing.set(stand(owner, method), may)
	}
	const begin = (): void => {
		for (const call of calls.splice(0)) {
			try {
				put(call)
			} catch {
				// What is there cannot be changed.
			}
		}
	}
	self.askfirst?.on(() => {
		for (const [away, may] of standing) if (may() && standing.delete(away)) away()
	})
	if (document.readyState === 'complete') begin()
	// Before handlers of the page's own.
	document.addEventListener('DOMContentLoaded', begin, { capture: true })
	self.addEventListener('load', begin)
}
