// A small application of React, rendered by its server and hydrated.
import { createElement as h, useEffect, useState } from 'react'

export function App() {
	const [n, set] = useState(0)
	useEffect(() => void (self.hydrated = true), [])
	return h('main', null,
		h('h1', null, 'Shop'),
		h('button', { id: 'count', onClick: () => set(n + 1) }, 'pressed ', n),
		h('img', { src: 'https://www.facebook.com/tr?id=1&ev=PageView&noscript=1', width: 1, height: 1, alt: '' }),
		n < 3 && h('p', null, h('iframe', { id: 'film', src: 'https://www.youtube.com/embed/film', width: 560, height: 315, title: 'film' })),
		n > 0 && h('p', null, h('iframe', { id: 'late', src: 'https://player.vimeo.com/video/1', width: 400, height: 225, title: 'late' })),
		n > 0 && n < 3 && h('blockquote', { id: 'tweet', className: 'twitter-tweet' }, 'words'),
		h('div', { className: 'fb-like', 'data-href': '/' }),
		h('p', { id: 'end' }, 'end'))
}
