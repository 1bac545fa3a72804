// Builds the page into dist/ and, in development, passes the API on to a running server (or to the made-up one in dev/).
import react from '@vitejs/plugin-react'
import { defineConfig, type PluginOption } from 'vite'

const server = process.env.FLYBALL_SERVER ?? 'http://127.0.0.1:7070'

export default defineConfig(async ({ command }) => {
  const plugins: PluginOption[] = [react()]
  // FLYBALL_UI_WORLD=demo|rolling|plain|empty|broken serves made-up data; never part of a build.
  const world = command === 'serve' ? process.env.FLYBALL_UI_WORLD : undefined
  if (world) plugins.push((await import('./dev/world.ts')).world(world))
  return {
    plugins,
    build: {
      target: 'es2022',
      sourcemap: false,
      chunkSizeWarningLimit: 700,
      assetsInlineLimit: 0,
      rollupOptions: { output: { assetFileNames: 'assets/[name]-[hash][extname]' } },
    },
    server: {
      // The server takes changes from its own page only: in development this proxy stands for it.
      proxy: world ? undefined : Object.fromEntries(['/api', '/-'].map((path) => [path, { target: server, changeOrigin: true, headers: { origin: server } }])),
    },
    test: { include: ['src/**/*.test.ts'], environment: 'node' },
  }
})
