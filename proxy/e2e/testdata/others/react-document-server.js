import { createElement } from 'react'
import { renderToPipeableStream } from 'react-dom/server'
import { Document } from './react-document.js'

const stream = renderToPipeableStream(createElement(Document), { bootstrapScripts: ['/app.js'], onAllReady: () => stream.pipe(process.stdout) })
