import { createElement } from 'react'
import { hydrateRoot } from 'react-dom/client'
import { Document } from './react-document.js'

hydrateRoot(document, createElement(Document), { onRecoverableError: (e) => console.error('recovered: ' + e.message) })
