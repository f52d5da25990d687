// An application of React that is the whole document, as Next.js and React Router
// make them.
import { createElement as h, useEffect, useState } from 'react'

export function Document() {
	const [n, set] = useState(0)
	useEffect(() => void (self.hydrated = true), [])
	return h('html', { lang: 'en' },
		h('head', null,
			h('title', null, 'Shop'),
			h('link', { rel: 'stylesheet', href: 'https://fonts.googleapis.com/css2?family=Inter' }),
			h('script', { async: true, src: 'https://www.googletagmanager.com/gtag/js?id=G-1' })),
		h('body', null,
			h('h1', null, 'Shop'),
			h('button', { id: 'count', onClick: () => set(n + 1) }, 'pressed ', n),
			h('p', null, h('iframe', { id: 'film', src: 'https://www.youtube.com/embed/film', width: 560, height: 315, title: 'film' })),
			h('div', { className: 'fb-like', 'data-href': '/' }),
			h('p', { id: 'end' }, 'end')))
}
