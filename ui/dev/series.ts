// Made-up numbers for development: steady lines that dip or rise around the made-up story.
import { at, onset, recovered } from './story.ts'

const noise = (seed: number, time: number): number => {
  const wave = Math.sin(time / 3 + seed) * 0.5 + Math.sin(time / 11 + seed * 7) * 0.3 + Math.sin(time * 1.7 + seed * 3) * 0.2
  return wave
}

interface Made { metric: Record<string, string>; value: (seconds: number) => number | undefined }

export function made(query: string, calm: boolean): Made[] {
  const hurt = (seconds: number): boolean => !calm && seconds * 1000 >= onset && seconds * 1000 < recovered
  if (/orders/.test(query)) return [{ metric: {}, value: (s) => (hurt(s) ? 7_700 + noise(1, s) * 60 : 12_391 + noise(1, s) * 140) }]
  if (/version|release="new|new/.test(query)) return [{ metric: { version: '4.12.0' }, value: (s) => (calm || s * 1000 < at(-30) || s * 1000 > recovered ? undefined : hurt(s) ? 0.3 + noise(2, s) * 0.02 : 0.0006) }]
  if (/bad|5\.\./.test(query)) return ['shop-1', 'shop-2', 'shop-3', 'shop-4', 'shop-5', 'shop-6'].map((host, index) => ({
    metric: { host, instance: `10.20.4.1${index}:8080` },
    value: (s) => (index > 0 && index < 3 && s * 1000 > at(-12) && s * 1000 < at(-6) ? undefined : hurt(s) && index < 2 ? 0.31 + noise(index, s) * 0.02 : 0.0006 + Math.abs(noise(index, s)) * 0.0005),
  }))
  if (/cpu/.test(query)) return ['user', 'system', 'iowait', 'steal'].map((mode, index) => ({ metric: { mode }, value: (s) => [0.21, 0.08, 0.02, 0.003][index]! * (1 + 0.4 * noise(index, s)) }))
  if (/tcp|sockstat|netstat/i.test(query)) return ['established', 'time_wait', 'listen'].map((state, index) => ({ metric: { state }, value: (s) => Math.round([182, 64, 23][index]! + noise(index, s) * 9) }))
  if (/network/.test(query)) return ['eth0', 'lo'].map((device, index) => ({ metric: { device }, value: (s) => [1_240_000, 310_000][index]! * (1 + 0.5 * noise(index, s)) }))
  if (/disk/.test(query)) return ['sda', 'sdb'].map((device, index) => ({ metric: { device }, value: (s) => Math.max(0, [4_200_000, 120_000][index]! * (1 + noise(index, s))) }))
  if (/filesystem/.test(query)) return [{ metric: { mountpoint: '/' }, value: () => 0.62 }]
  if (/Mem|memory/.test(query)) return [{ metric: {}, value: (s) => 0.43 + noise(4, s) * 0.01 }]
  if (/load/.test(query)) return [{ metric: {}, value: (s) => 1.2 + noise(5, s) * 0.3 }]
  return [{ metric: {}, value: (s) => 9_812 + noise(3, s) * 300 }]
}

export const metricNames = [
  'http_requests_total', 'http_request_duration_seconds_bucket', 'orders_total', 'node_cpu_seconds_total', 'node_memory_MemAvailable_bytes', 'node_memory_MemTotal_bytes',
  'node_network_receive_bytes_total', 'node_network_transmit_bytes_total', 'node_disk_read_bytes_total', 'node_disk_written_bytes_total', 'node_load1', 'node_tcp_connection_states', 'haproxy_server_http_responses_total', 'up',
]
