/** The one way in which the browser's own functions are wrapped, in pages and in workers. */

export const apply = Reflect.apply
export const descriptor = Object.getOwnPropertyDescriptor

/** What a held call's caller gets instead; nothing lets the call go on. */
export type Answer = { value: unknown } | false | undefined | void
export const done = { value: undefined }
type Check = (self: any, args: any[], native: Function) => Answer

/**
 * A function that asks check before it does what native does. It is a proxy,
 * so that its name, its properties, its prototype and its text are native's.
 * An error of the guard's own never reaches the page: the call goes on.
 */
export function wrapped(native: Function, check: Check): Function {
	const ask: Check = (self, args) => {
		try {
			return check(self, args, native)
		} catch {
			return
		}
	}
	return new Proxy(native, {
		// Function.prototype.toString knows no name for a proxy.
		get: (target, name) => (name === 'toString' ? () => String(target) : target[name as keyof Function]),
		apply(target, self, args) {
			const answer = ask(self, args, target)
			return answer ? answer.value : apply(target, self, args)
		},
		construct(target, args, newTarget) {
			const answer = ask(undefined, args, target)
			return answer ? (answer.value as object) : Reflect.construct(target, args, newTarget)
		},
	})
}

/** Changes a property of a class's instances, or of another object, where the browser has it and lets it be changed. */
export function change(owner: any, name: string, to: (d: PropertyDescriptor) => PropertyDescriptor): void {
	try {
		const own = owner.prototype ?? owner
		const d = descriptor(own, name)
		if (d) Object.defineProperty(own, name, { ...d, ...to(d) })
	} catch {
		// Frozen before us: the observer and the policy remain.
	}
}

/** Wraps a method or constructor. */
export const wrap = (owner: object | undefined, name: string, check: Check): void => change(owner, name, ({ value }) => value && { value: wrapped(value, check) })

/** Wraps the accessors of a property: write goes before the setter, read may answer instead of the getter. */
export const wrapProperty = (owner: object | undefined, name: string, write: Check | undefined, read?: Check): void =>
	change(owner, name, ({ get, set }) => ({
		...(write && set && { set: wrapped(set, write) as (v: unknown) => void }),
		...(read && get && { get: wrapped(get, read) as () => unknown }),
	}))
