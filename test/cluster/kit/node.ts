/**
 * The one real node: containerd, kubelet and kube-proxy with a bridge network.
 *
 * NetworkPolicy objects are accepted and not enforced (a plain bridge cannot). Images come from files only and are never
 * collected, because they could not be pulled again. Processes without CAP_SYS_RESOURCE may not lower oom scores, hence the zeros.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Addresses } from './addresses.ts'
import type { Box } from './box.ts'
import { makeControlGroups } from './controlGroups.ts'
import { ready } from './controlPlane.ts'
import { networkPlugins, programPath } from './programs.ts'

export async function startContainerd(box: Box): Promise<void> {
  const { folder } = box.addresses
  mkdirSync(join(folder, 'net.d'))
  writeFileSync(join(folder, 'containerd.toml'), containerdConfig(box.addresses))
  writeFileSync(join(folder, 'net.d', '10-bridge.conflist'), networkConfig(box.addresses))
  await box.start('containerd', programPath('containerd'), ['-c', join(folder, 'containerd.toml')])
  await ready(box, 'containerd', 20_000, () => containerImages(box, ['ls', '-q']))
}

/** `ctr images …` on the node's store. */
export function containerImages(box: Box, args: readonly string[]): Promise<string> {
  const socket = join(box.addresses.folder, 'containerd.sock')
  return box.run(programPath('ctr'), ['-a', socket, '-n', 'k8s.io', 'images', ...args])
}

export async function startNode(box: Box): Promise<void> {
  const { folder, nodeName, node } = box.addresses
  makeControlGroups(box.addresses.id)
  writeFileSync(join(folder, 'resolv.conf'), '')
  writeFileSync(join(folder, 'kubelet.json'), JSON.stringify(kubeletConfig(box.addresses)))
  writeFileSync(join(folder, 'proxy.json'), JSON.stringify(proxyConfig(box.addresses)))
  const kubelet = ['--config', join(folder, 'kubelet.json'), '--kubeconfig', join(folder, 'kubelet.kubeconfig')]
  const names = ['--hostname-override', nodeName, '--node-ip', node, '--root-dir', join(folder, 'kubelet')]
  await box.start('kubelet', programPath('kubelet'), [...kubelet, ...names, '--v', '2'])
  await box.start('kube-proxy', programPath('kube-proxy'), ['--config', join(folder, 'proxy.json')])
}

const containerdConfig = ({ folder }: Addresses): string => `
version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${networkPlugins() ?? ''}"
    conf_dir = "${folder}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`

const networkConfig = ({ folder, podRange }: Addresses): string => {
  const ranges = [[{ subnet: podRange }]]
  const ipam = { type: 'host-local', dataDir: join(folder, 'ipam'), ranges, routes: [{ dst: '0.0.0.0/0' }] }
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, ipMasq: false, ipam }
  const plugins = [bridge, { type: 'portmap', capabilities: { portMappings: true } }]
  return JSON.stringify({ cniVersion: '1.0.0', name: 'paceline', plugins })
}

const kubeletConfig = ({ folder, id, dnsService }: Addresses): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  // Version 1 of control groups still runs on many machines; kubelet has refused it by default since 1.35.
  failCgroupV1: false,
  failSwapOn: false,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${id}`,
  cgroupsPerQOS: true,
  enforceNodeAllocatable: ['pods'],
  oomScoreAdj: 0,
  containerRuntimeEndpoint: `unix://${folder}/containerd.sock`,
  podLogsDir: join(folder, 'pod-logs'),
  address: '0.0.0.0',
  port: 10_250,
  readOnlyPort: 0,
  healthzBindAddress: '127.0.0.1',
  healthzPort: 10_248,
  tlsCertFile: join(folder, 'pki', 'kubelet-server.crt'),
  tlsPrivateKeyFile: join(folder, 'pki', 'kubelet-server.key'),
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: join(folder, 'pki', 'ca.crt') },
  },
  authorization: { mode: 'Webhook' },
  clusterDNS: [dnsService],
  clusterDomain: 'cluster.local',
  resolvConf: join(folder, 'resolv.conf'),
  imageGCHighThresholdPercent: 100,
  imageMinimumGCAge: '24h',
  evictionHard: {
    'memory.available': '100Mi',
    'nodefs.available': '1%',
    'imagefs.available': '1%',
    'nodefs.inodesFree': '1%',
  },
  maxPods: 110,
  registerNode: true,
})

const proxyConfig = ({ folder, podRange, nodeName }: Addresses): object => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  clientConnection: { kubeconfig: join(folder, 'proxy.kubeconfig') },
  clusterCIDR: podRange,
  hostnameOverride: nodeName,
  oomScoreAdj: 0,
  healthzBindAddress: '127.0.0.1:10256',
  metricsBindAddress: '127.0.0.1:10249',
  // nf_conntrack_max cannot be set outside the first network namespace: leave everything as it is.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  // The default of one second would let `helm --wait` return before the rules follow.
  nftables: { minSyncPeriod: '100ms' },
})
