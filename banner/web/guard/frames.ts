/** Frames that show no page of any server: scripts use their fresh functions, so these are wrapped too. */
import { hollow } from './held'
import { apply, wrapProperty } from './native'
import type { Realm } from './page'

const guarded = new WeakSet<object>()

/** Guards a window, and each frame of it when a script reaches into that. */
export function guardFrames(win: Realm, guard: (win: Realm) => void): void {
	guarded.add(win.Element)
	win.document.addEventListener('load', (event) => hollow(event.target) && event.stopPropagation(), true)
	for (const name of ['contentWindow', 'contentDocument']) {
		wrapProperty(win.HTMLIFrameElement, name, undefined, (frame, _, native) => {
			const value = apply(native, frame, []) as Realm | Document | null
			try {
				const inner = ((value as Document | null)?.defaultView ?? value) as Realm | null
				if (inner && /^about:/.test(inner.location.href) && !guarded.has(inner.Element)) guard(inner)
			} catch {
				// The frame is another origin's.
			}
			return { value }
		})
	}
}
