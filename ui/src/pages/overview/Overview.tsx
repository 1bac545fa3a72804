import type { ReactNode } from 'react'
export default function Overview(): ReactNode { return <h1>Overview</h1> }
