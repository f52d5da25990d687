/**
 * The guard. It runs first in the page and keeps tags that scripts add under
 * the same rules as the proxy, asks, releases and withdraws.
 *
 * What a script meets that asks for something held:
 * - A held element stays where it is put, and its properties read as they were
 *   set. It fires neither load nor error until it is released, and then what
 *   any such element fires. An image that is in no document, and so could never
 *   be released, fires error. A held frame shows in itself what would be there,
 *   and fires load for that too.
 * - What the guard does not know yet waits, and then acts or is held; see
 *   learning.ts.
 * - CSS does without the addresses in it that are held. Those of a style element
 *   come back on consent, those that a script gives an element, in markup too,
 *   or a sheet do not.
 * - A held call answers as on a network that is blocked: fetch rejects with a
 *   TypeError, XMLHttpRequest fails with status 0, sendBeacon returns true,
 *   WebSocket and EventSource fire error and are closed, a worker fires error,
 *   a service worker's registration rejects. It is not made again on consent.
 * - A worker whose script is a blob of the page's own has a guard of its own, and so
 *   has one whose script is a file of the site, from the proxy; see worker.ts.
 * - A held cookie or storage key is not kept; nothing says so.
 * - window.open and form.submit are held only without a click or a key of the
 *   visitor's: open returns null.
 *
 * Beyond its reach are import(), workers of data:, worklets, blobs that the site's
 * policy lets nobody read, WebRTC, WebSocketStream, Cache.add, and
 * - frames of other origins, those whose address is javascript:, data: or blob:,
 *   those that a script reaches as window[n], and what scripts in a srcdoc do;
 * - attributes that are changed as nodes: attr.value, and a style or a srcdoc by
 *   setAttributeNode;
 * - single properties of an element's style once it is in the page (Chromium has
 *   no setters for them), its attributeStyleMap, animate(), rules that a script
 *   puts into a rule, image-set() with bare strings, and style attributes in what
 *   document.write writes.
 * For these there is the site's Content-Security-Policy.
 */
import { attach, guardAsking, open, settled, show } from './asking'
import { guardNetwork } from './network'
import { guardFrames } from './frames'
import { guardMarkup } from './markup'
import { choose, honour, obey, on } from './choice'
import { guardNodes } from './nodes'
import { box, ours, unwrap } from './held'
import { learn } from './learning'
import { all } from './native'
import { type Realm, chosen, letters, nothingHeld, objects, regime, standing } from './page'
import { release, watchLife } from './release'
import { send, watch } from './reports'
import { signalDefault } from './signals'
import { guardStorage, sweep } from './storage'

/** window.askfirst: what the site's own scripts may ask and say. */
const api = {
	/** What the visitor agreed to. */
	get: () => ({ made: standing.made, categories: [...standing.granted], regime, gpc: objects() }),
	/** Makes a choice on the visitor's behalf, for a page that asks in its own way. */
	set: (choice: 'accept-all' | 'reject-all' | string[]) => (typeof choice === 'string' ? choose(choice, [], { method: 'api' }) : choose('save', choice, { method: 'api' })),
	/** Opens the settings. */
	open,
	/** Calls back after every choice with what get returns; answers with a function that stops it. */
	on: (listener: (choice: object) => void) => on(() => listener(api.get())),
}

declare global {
	interface Window {
		askfirst?: typeof api
	}
}

function step(part: () => void): void {
	try {
		part()
	} catch {
		// One part that fails takes no other with it.
	}
}

function guard(win: Realm): void {
	for (const part of [guardStorage, guardNetwork, guardMarkup, guardNodes, guardFrames]) step(() => part(win, guard))
}

if (!self.askfirst) {
	Object.defineProperty(self, 'askfirst', { value: Object.freeze(api) })
	step(signalDefault)
	guard(self)
	for (const part of [watchLife, guardAsking, watch]) step(part)
	on(settled)

	// All is parsed, and no deferred script has run.
	document.addEventListener('readystatechange', unwrap, { once: true })
	document.addEventListener('DOMContentLoaded', () => {
		all(document, ours).forEach(attach)
		show()
		void release()
	})
	if (!nothingHeld()) {
		void learn(['names'])
		box()
		self.addEventListener('load', () => {
			void learn(['names']).then(sweep)
			if (all(document, '[data-askfirst-vendor]')[0]) box(document.documentElement)
		})
	}
	if (parent === self) self.addEventListener('load', honour)
	// In the page around this one, out of the browser's cache, or from behind another tab: the visitor may have chosen since.
	step(() => parent.askfirst?.on(catchUp))
	self.addEventListener('pageshow', (event) => event.persisted && catchUp())
	document.addEventListener('visibilitychange', () => (document.hidden ? send() : catchUp()))
}

function catchUp(): void {
	const choice = chosen()
	if (choice && (!standing.made || letters(choice.granted) !== letters())) void obey(choice)
}
