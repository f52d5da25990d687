/** The banner and the boxes, taken over from their forms: no page is left for a choice. */
import { type Action, choose } from './choice'
import { boxed, freed, isElement, isScript, released } from './held'
import { all, drop, get, has, later, remove, set } from './native'
import { family, locked, objects, once, standing } from './page'
import { release } from './release'

const banners = (): NodeListOf<Element> => all(document, 'askfirst-banner')

/**
 * Does what is due when one of our elements comes into the page: gives it its
 * declared shadow tree where the browser did not, in markup that came by a
 * script, and shows a banner as things stand, before it is painted: a shared
 * cache may have answered with the page of somebody who has not chosen. A frame
 * of the site's own leaves it to the page around it to ask.
 */
export function attach(el: Element): void {
	const template = el.firstElementChild
	if (template instanceof HTMLTemplateElement) {
		if (!el.shadowRoot) el.attachShadow({ mode: 'open', clonable: true } as ShadowRootInit).append(template.content)
		remove(template)
	}
	if (el.localName === 'askfirst-banner') {
		if (self.frameElement?.localName === 'iframe' && parent.askfirst) return remove(el)
		banner = el
		show()
	}
}

/** The banner, and how often more it is put where it is seen within a second: who takes it out each time at once shall not keep the page busy. */
let banner: Element | undefined
let lives = 9

/** Puts the banner back where a framework made the whole document anew, or its body for another page, without it, and out of what the page has not closed, which may be hidden. */
export function stay(): void {
	if (banner && banner.parentNode !== document.body && lives-- > 0) {
		later(() => (lives = 9), 1e3)
		document.body?.append(banner)
	}
}

/** Shows every banner as things stand. */
export function show(): void {
	for (const banner of banners()) {
		set(banner, 'data-askfirst-state', standing.made ? 'made' : 'ask')
		drop(banner, 'data-askfirst-open')
		if (objects()) set(banner, 'data-askfirst-gpc', '')
		tick(banner)
	}
}

function tick(banner: Element): void {
	for (const box of boxes(banner)) box.checked = standing.granted.has(box.value as never)
}

const boxes = (banner: Element): HTMLInputElement[] => (banner.shadowRoot ? ([...all(banner.shadowRoot, 'input[name=categories]')] as HTMLInputElement[]) : [])

/** Opens the settings in place. Reports whether there is a banner to open. */
export function open(): boolean {
	const banner = banners()[0]
	const root = banner?.shadowRoot
	if (!root) return false
	tick(banner)
	if (standing.made) set(banner, 'data-askfirst-open', '')
	root.querySelector('details')?.setAttribute('open', '')
	focus(banner, '.panel')
	return true
}

function close(banner: Element): void {
	drop(banner, 'data-askfirst-open')
	focus(banner, '[data-askfirst=reopen]')
}

const focus = (host: Element, selector: string): void => host.shadowRoot?.querySelector<HTMLElement>(selector)?.focus({ preventScroll: true })

function press(event: MouseEvent): void {
	if (event.button || event.metaKey || event.ctrlKey) return
	const control = event.composedPath().find((at): at is HTMLElement => isElement(at) && !!get(at, 'data-askfirst'))
	const host = (control?.getRootNode() as ShadowRoot | undefined)?.host
	if (!control || !host || !/^askfirst-/.test(host.localName)) return
	const ask = get(control, 'data-askfirst')
	switch (ask) {
		case 'accept-all':
		case 'reject-all':
			void take(event, control, ask)
			break
		case 'withdraw':
			void take(event, control, 'reject-all')
			break
		case 'save':
			void take(event, control, 'save', boxes(host).filter((box) => box.checked).map((box) => box.value))
			break
		case 'always':
			void take(event, control, 'save', [...standing.granted, get(host, 'data-category') ?? ''])
			break
		case 'load':
			if (locked) return
			event.preventDefault()
			loadOnce(host)
			break
		case 'close':
			close(host)
			break
		case 'reopen':
			if (open()) event.preventDefault()
	}
}

/** Whether a choice is on its way: the visitor pressed twice. */
let busy = false

/** Makes the choice that a control stands for; the form goes the long way where that fails. */
async function take(event: Event, control: HTMLElement, action: Action, categories?: string[]): Promise<void> {
	event.preventDefault()
	if (busy) return
	busy = true
	const form = control.closest('form')
	try {
		const field = (name: string): string | undefined => form?.querySelector<HTMLInputElement>(`[name=${name}]`)?.value
		await choose(action, categories, { language: field('language'), shown: field('shown'), vendor: field('vendor') })
	} catch {
		busy = false
		form?.requestSubmit(control)
	}
}

/** Lets the element that a box stands for act on this page; if it is a mark, the scripts that fill it too. */
function loadOnce(box: Element): void {
	const vendor = get(box, 'data-vendor') ?? ''
	const frame = box.ownerDocument.defaultView?.frameElement
	const element = frame && boxed.has(frame) ? frame : box.firstElementChild
	if (element) {
		freed.set(element, vendor)
		void release((el) => el === element)
	} else {
		once.add(family(vendor, get(box, 'data-category') ?? ''))
		void release((el) => el.previousElementSibling === box || (isScript(el) && released(el)))
	}
}

/** Takes over the controls in a document. */
export function listen(page: Document): void {
	page.addEventListener('click', press, true)
}

/** Keeps the focus in a banner that asks over the page. */
function keepFocus(event: FocusEvent): void {
	for (const banner of banners()) {
		if ((!standing.made || has(banner, 'data-askfirst-open')) && has(banner, 'data-askfirst-modal') && event.target !== banner) focus(banner, '.panel')
	}
}

export function guardAsking(): void {
	listen(document)
	document.addEventListener('focusin', keepFocus)
	document.addEventListener('keydown', (event) => {
		if (event.key !== 'Escape') return
		const banner = event.target as Element
		if (banner.localName !== 'askfirst-banner') return
		const details = banner.shadowRoot?.querySelector('details')
		if (has(banner, 'data-askfirst-open')) close(banner)
		else if (details?.open) {
			details.open = false
			focus(banner, 'summary')
		}
	})
}

/** After a choice the visitor is where the choice can be found again. */
export function settled(): void {
	busy = false
	for (const banner of banners()) {
		const inside = document.activeElement === banner
		show()
		if (inside) focus(banner, '[data-askfirst=reopen]')
	}
}
