/**
 * The rules that the guard does not have from the start. All of them weigh as
 * much as a picture, and a page meets few, so that what renders waits for none.
 * They are cut into parts, which are files that never change: a browser asks for
 * each once. Where the operator has lists, or aliases in DNS are looked at, the
 * proxy itself is asked about an address. Until the answer is there nothing that
 * needs it acts: elements stay held and calls wait, and both go on by
 * themselves. What cannot wait, such as a cookie that a script reads in the line
 * after it was set, takes the answer at once, by a synchronous request to the
 * site's own host, which mostly ends in the browser's cache. Should no answer
 * come, what would need it is held.
 */
import { nativeFetch, request } from './native'
import { matcher, parts, prefix } from './page'

const coming = new Map<string, Promise<unknown>>()

/** Where a part is, or a question is answered. */
const address = (name: string): string => prefix + 'rules.' + parts + (name[0] === '?' ? name : `.${name}.json`)

/** Learns what has these names. Resolves when what can be known of it is. */
export function learn(names: string[]): Promise<unknown> {
	return Promise.all(
		names.map((name) => {
			let promise = coming.get(name)
			if (!promise) {
				promise = nativeFetch
					.call(self, address(name))
					.then(async (answer) => matcher.learn(name, await answer.json()))
					.catch(() => coming.delete(name))
				coming.set(name, promise)
				if (name[0] === '?') void promise.then(() => coming.delete(name))
			}
			return promise
		}),
	)
}

/** Learns what has these names before it returns. */
export function learnNow(names: string[]): void {
	for (const name of names) {
		try {
			matcher.learn(name, JSON.parse(request(address(name))))
		} catch {
			// It stays unknown.
		}
	}
}
