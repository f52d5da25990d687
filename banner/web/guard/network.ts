/** What scripts ask for by calls: a held call answers as a blocked network does. */
import { restyle, trust } from './held'
import { learn } from './learning'
import type { Kind } from './matcher'
import { apply, done, later, open, request, wrap } from './native'
import { type Realm, allowed, being, child, judge, nothingHeld, prefix } from './page'
import { count } from './reports'

const addressOf = (reference: any): string => String(reference?.url ?? reference ?? '')

/** Reports whether a call to this address is held, and counts it. */
function held(reference: unknown, kind: Kind): boolean {
	const address = addressOf(reference)
	if (allowed(being('now', () => judge(address, kind)))) return false
	count(address, kind, 'held')
	return true
}

/** Where it has to be found out whether a call is held: resolves to that. */
function finding(reference: unknown, kind: Kind): Promise<boolean> | undefined {
	const { unsure } = judge(addressOf(reference), kind)
	return unsure && learn(unsure).then(() => held(reference, kind))
}

const refusal = () => Promise.reject(new TypeError('Failed to fetch'))

/** An address that no request can be made to. */
const nowhere = 'about:invalid'

/**
 * A connection that never was: its properties say so and it tells its listeners
 * after the caller has had time to add them.
 */
function dead(constructor: Function, url: unknown): object {
	const socket = Object.assign(new EventTarget() as any, { url: String(url), readyState: 3, bufferedAmount: 0, protocol: '', extensions: '', onopen: null, onerror: null, onclose: null, onmessage: null, close() {}, send() {} })
	Object.setPrototypeOf(socket, constructor.prototype)
	later(() => {
		for (const type of ['error', 'close']) {
			const event = new CloseEvent(type, { code: 1006 })
			socket.dispatchEvent(event)
			socket['on' + type]?.(event)
		}
	})
	return socket
}

export function guardNetwork(win: Realm): void {
	const { navigator, XMLHttpRequest } = win
	wrap(win, 'fetch', (self, args, native) => {
		const found = finding(args[0], 'connect')
		if (found) return { value: found.then((holds) => (holds ? refusal() : apply(native, self, args))) }
		if (held(args[0], 'connect')) return { value: refusal() }
	})
	wrap(win, 'fetchLater', (_, [input]) => held(input, 'ping') && { value: {} })
	const opened = new WeakMap<XMLHttpRequest, [found: Promise<boolean>, args: unknown[]]>()
	wrap(XMLHttpRequest, 'open', (request, args) => {
		const found = args[2] === false ? undefined : finding(args[1], 'connect')
		if (found) {
			opened.set(request, [found, args])
			return
		}
		opened.delete(request)
		if (held(args[1], 'connect')) args[1] = nowhere
	})
	wrap(XMLHttpRequest, 'abort', (request) => void opened.delete(request))
	wrap(XMLHttpRequest, 'send', (request, body, native) => {
		const waits = opened.get(request)
		if (!waits) return
		void waits[0].then((holds) => {
			if (opened.get(request) !== waits) return
			opened.delete(request)
			if (holds) apply(open, request, [waits[1][0], nowhere])
			apply(native, request, body)
		})
		return done
	})
	wrap(win.Navigator, 'sendBeacon', (navigator, args, native) => {
		const found = finding(args[0], 'ping')
		void found?.then((holds) => holds || apply(native, navigator, args))
		return (found || held(args[0], 'ping')) && { value: true }
	})
	wrap(win, 'WebSocket', (_, [url], native) => held(url, 'connect') && { value: dead(native, url) })
	wrap(win, 'EventSource', (_, args) => {
		if (held(args[0], 'connect')) args[0] = nowhere
	})
	wrap(win, 'Audio', (_, [src], native) => src && !allowed(judge(src, 'media')) && { value: Object.assign(Reflect.construct(native, []), { src }) })
	for (const name of ['Worker', 'SharedWorker']) {
		wrap(win, name, (_, args) => {
			if (held(args[0], 'script')) args[0] = prefix + 'worker'
			else if (!nothingHeld() && /^blob:/.test(args[0])) args[0] = trust('createScriptURL', URL.createObjectURL(new Blob([request(prefix + 'worker?' + child + location.pathname), request(args[0])], { type: 'text/javascript' })))
		})
	}
	wrap(win, 'WebTransport', (_, args) => {
		// Browsers refuse this port.
		if (held(args[0], 'connect')) args[0] = 'https://invalid:1'
	})
	wrap(win.ServiceWorkerContainer, 'register', (_, [url]) => held(url, 'script') && { value: refusal() })
	wrap(win, 'FontFace', (_, args) => restyle(args, 1))
	for (const name of ['insertRule', 'replace', 'replaceSync', 'addRule']) {
		wrap(win.CSSStyleSheet, name, (_, args) => restyle(args, +(name === 'addRule')))
	}
	// Where the visitor has just clicked or typed, a window or a form is theirs and not the script's.
	const own = () => navigator.userActivation?.isActive ?? true
	wrap(win, 'open', (_, [url]) => !own() && held(url, 'other') && { value: null })
	wrap(win.HTMLFormElement, 'submit', (form: HTMLFormElement) => !own() && held(form.getAttribute('action') ?? '', 'form') && done)
}
