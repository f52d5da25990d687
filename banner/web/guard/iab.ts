/**
 * The IAB's interfaces in the page: __tcfapi (TCF 2.3) and __gpp (GPP 1.1). It
 * is a bundle of its own, which comes right after the guard where the site has
 * switched one of them on, so both answer from the page's first bytes and no
 * stub is needed. The strings were written by the server for every choice that
 * can be made here; only their day is put in.
 */
import type { Site } from './signals'

type Callback = (result: unknown, success: boolean) => void

interface TCF {
	cmp: number
	version: number
	country: string
	list: number
	policy: number
	/** Core segments without their dates, by the letters of what was agreed to. */
	cores: Record<string, string>
	disclosed: string
}

interface Section {
	id: number
	text: string
	fields: Record<string, unknown>
}

interface GPP {
	cmp: number
	none: string
	/** Of each section: as it is, with GPC, after an opt-out, and after one with GPC. */
	sections: Record<string, [Section, Section, Section, Section]>
}

type Settings = Site & { tcf?: TCF; gpp?: GPP }

const global = self as unknown as Record<string, any>
const settings: Settings = global.__askfirst_site ?? {}
const element = (document.currentScript ?? document.querySelector('[data-askfirst-guard]')) as HTMLElement | null
const { get, on } = self.askfirst as NonNullable<typeof self.askfirst>

const banner = (): Element | null => document.querySelector('askfirst-banner')
const child = element?.dataset.audience === 'child'

/** Whether the question can be seen. Before the page is whole it is about to be. */
function visible(): boolean {
	const host = banner()
	if (child) return false
	return host ? host.getAttribute('data-askfirst-state') === 'ask' || host.hasAttribute('data-askfirst-open') : !get().made
}

/** Puts in the frame by which frames within this page find the one that answers. */
function locate(name: string): void {
	const put = (): boolean => {
		if (!document.body) return false
		if (!global.frames[name]) {
			const frame = document.createElement('iframe')
			frame.name = name
			frame.title = ''
			frame.hidden = true
			frame.style.display = 'none'
			document.body.appendChild(frame)
		}
		return true
	}
	if (put()) return
	const observer = new MutationObserver(() => put() && observer.disconnect())
	observer.observe(document.documentElement, { childList: true })
}

/** Answers what frames ask by messages. */
function answer(name: string, call: (words: Record<string, any>, callback: Callback) => void): void {
	self.addEventListener('message', (event) => {
		let data = event.data
		const text = typeof data === 'string'
		try {
			if (text) data = JSON.parse(data)
		} catch {
			return
		}
		const words = data?.[name + 'Call']
		if (!words) return
		call(words, (returnValue, success) => {
			const back = { [name + 'Return']: { returnValue, success, callId: words.callId } }
			event.source?.postMessage(text ? JSON.stringify(back) : back, { targetOrigin: '*' })
		})
	})
}

const listeners = new Map<number, (what: 'choice' | 'display') => void>()
let last = 0

function listen(listener: (what: 'choice' | 'display') => void): number {
	listeners.set(++last, listener)
	return last
}

function inform(what: 'choice' | 'display'): void {
	for (const listener of [...listeners.values()]) {
		try {
			listener(what)
		} catch {
			// A listener's error is its own.
		}
	}
}

let acted = false
on(() => {
	acted = true
	inform('choice')
})
document.addEventListener('DOMContentLoaded', () => {
	const host = banner()
	if (!host) return
	let open = false
	new MutationObserver(() => {
		// What ends with a choice is told as that.
		if (open !== (open = host.hasAttribute('data-askfirst-open'))) inform('display')
	}).observe(host, { attributeFilter: ['data-askfirst-open'] })
})

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const bit = (text: string, at: number): boolean => !!((alphabet.indexOf(text.charAt((at / 6) | 0)) >> (5 - (at % 6))) & 1)

function number(text: string, at: number, width: number): number {
	let n = 0
	for (let i = 0; i < width; i++) n = n * 2 + Number(bit(text, at + i))
	return n
}

/** Numbers from 1 on, each with whether its bit is set. */
function field(text: string, at: number, width: number): Record<number, boolean> {
	const found: Record<number, boolean> = {}
	for (let i = 1; i <= width; i++) found[i] = bit(text, at + i - 1)
	return found
}

/** A set of vendors, as their number and a bit for each. */
const vendors = (text: string, at: number): Record<number, boolean> => field(text, at + 17, number(text, at, 16))

// Where in a core segment what the page is told begins.
const purposesAt = 152
const vendorsAt = 213

/** The core segment of the choice that stands, with its day: both dates are 36 bits from the second character on. */
function core(tcf: TCF): string {
	const { categories } = get()
	const letters = ['functional', 'analytics', 'marketing', 'social'].filter((c) => categories.includes(c as never)).map((c) => c.charAt(0))
	const text = tcf.cores[letters.join('') || '-'] ?? tcf.cores['-'] ?? ''
	const made = /(?:^|; )askfirst=1\.\d+\.[-fams]+\.(\d+)\./.exec(document.cookie)?.[1]
	const tenths = Math.floor((made && !child ? Number(made) : Date.now() / 1000) / 86_400) * 864_000
	let day = ''
	for (let i = 5; i >= 0; i--) day += alphabet.charAt(Math.floor(tenths / 64 ** i) % 64)
	return text.charAt(0) + day + day + text.slice(13)
}

function startTCF(tcf: TCF): void {
	const gdprApplies = get().regime === 'opt-in'
	const common = { cmpId: tcf.cmp, cmpVersion: tcf.version, cmpStatus: 'loaded', gdprApplies, tcfPolicyVersion: tcf.policy }

	const data = (listenerId?: number, shown?: boolean): object => {
		const text = core(tcf)
		const shows = shown ?? (gdprApplies && visible() && !acted)
		return {
			...common,
			...(listenerId !== undefined && { listenerId }),
			tcString: text + '.' + tcf.disclosed,
			eventStatus: shows ? 'cmpuishown' : acted ? 'useractioncomplete' : 'tcloaded',
			isServiceSpecific: true,
			useNonStandardTexts: true,
			publisherCC: tcf.country,
			purposeOneTreatment: false,
			outOfBand: { allowedVendors: {}, disclosedVendors: {} },
			purpose: { consents: field(text, purposesAt, 24), legitimateInterests: field(text, purposesAt + 24, 24) },
			vendor: { consents: vendors(text, vendorsAt), legitimateInterests: {}, disclosedVendors: vendors(tcf.disclosed, 3) },
			specialFeatureOptins: {},
			publisher: { consents: {}, legitimateInterests: {}, customPurpose: { consents: {}, legitimateInterests: {} }, restrictions: {} },
		}
	}
	const call = (command: string, version: unknown, callback: Callback, parameter?: unknown): void => {
		if (typeof callback !== 'function') return
		if (version && version !== 2) return callback(null, false)
		switch (command) {
			case 'ping':
				return callback({ ...common, cmpLoaded: true, displayStatus: child ? 'disabled' : visible() ? 'visible' : 'hidden', apiVersion: '2.3', gvlVersion: tcf.list }, true)
			case 'getTCData':
				return callback(data(), true)
			case 'addEventListener': {
				const id: number = listen((what) => callback(data(id, what === 'display' && visible()), true))
				return callback(data(id), true)
			}
			case 'removeEventListener': {
				const known = listeners.delete(parameter as number)
				return callback(known, known)
			}
		}
		callback(null, false)
	}
	global.__tcfapi = call
	answer('__tcfapi', (words, callback) => call(words.command, words.version, callback, words.parameter))
	locate('__tcfapiLocator')
}

function startGPP(gpp: GPP): void {
	const name = element?.dataset.gpp ?? ''
	const states = gpp.sections[name]

	const section = (): Section | undefined => {
		const { categories, gpc } = get()
		return states?.[(categories.includes('marketing' as never) ? 0 : 2) + Number(gpc)]
	}
	const ping = (): object => {
		const s = section()
		return {
			gppVersion: '1.1',
			cmpStatus: 'loaded',
			cmpDisplayStatus: child ? 'disabled' : visible() ? 'visible' : 'hidden',
			signalStatus: 'ready',
			supportedAPIs: Object.entries(gpp.sections).map(([n, [{ id }]]) => id + ':' + n),
			cmpId: gpp.cmp,
			sectionList: s ? [s.id] : [],
			applicableSections: [s ? s.id : -1],
			gppString: s ? s.text : gpp.none,
			parsedSections: s ? { [name]: s.fields } : {},
		}
	}
	const call = (command: string, callback: Callback, parameter?: unknown): unknown => {
		if (typeof callback !== 'function') callback = () => {}
		switch (command) {
			case 'ping':
				callback(ping(), true)
				return
			case 'addEventListener': {
				const event = (eventName: string, data: unknown): object => ({ eventName, listenerId, data, pingData: ping() })
				const listenerId: number = listen((what) => {
					callback(event('cmpDisplayStatus', visible() ? 'visible' : 'hidden'), true)
					if (what === 'display') return
					if (states) callback(event('sectionChange', name), true)
					callback(event('signalStatus', 'ready'), true)
				})
				const registered = event('listenerRegistered', true)
				callback(registered, true)
				return registered
			}
			case 'removeEventListener': {
				const known = listeners.delete(parameter as number)
				callback(known, known)
				return
			}
			case 'hasSection':
				callback(!!states && parameter === name, true)
				return
			case 'getSection': {
				const s = parameter === name ? section() : undefined
				callback(s?.fields ?? null, !!s)
				return
			}
			case 'getField': {
				const [of, which = ''] = String(parameter).split('.')
				const value = of === name ? section()?.fields[which] : undefined
				callback(value ?? null, value !== undefined)
				return
			}
		}
		callback(null, false)
		return
	}
	global.__gpp = call
	answer('__gpp', (words, callback) => call(words.command, callback, words.parameter))
	locate('__gppLocator')
}

if (self.askfirst && !global.__tcfapi && settings.tcf) startTCF(settings.tcf)
if (self.askfirst && !global.__gpp && settings.gpp) startGPP(settings.gpp)
