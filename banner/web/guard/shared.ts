/** Pages that a shared cache keeps: they are made for somebody who has not chosen, whoever gets them. */
import { show } from './asking'
import { get } from './native'
import { element, standing } from './page'

/** Shows the banner as the visitor's own cookie says, as soon as it is in the page: before it is painted. */
export function showEarly(): void {
	if (standing.made === (get(element, 'data-made') === '1')) return
	const watch = new MutationObserver(() => {
		if (!document.querySelector('askfirst-banner')) return
		watch.disconnect()
		show()
	})
	watch.observe(document, { childList: true, subtree: true })
	document.addEventListener('DOMContentLoaded', () => watch.disconnect())
}
