import { createElement } from 'react'
import { hydrateRoot } from 'react-dom/client'
import { App } from './react.js'

hydrateRoot(document.getElementById('root'), createElement(App), { onRecoverableError: (e) => console.error('recovered: ' + e.message) })
