'use client'
import { useEffect, useState } from 'react'
import { session } from '../session.js'

export function Live({ number }) {
  const [text, setText] = useState('…')
  const load = async () => {
    const answer = await session.fetch(`/api/notes/${number}`)
    setText(answer.ok ? (await answer.json()).text : `refused: ${answer.status}`)
  }
  useEffect(() => {
    load()
    addEventListener('focus', load)
    return () => removeEventListener('focus', load)
  }, [])
  return <li>{text}</li>
}
