// Written by go test ./browser/api -update from the types of the API. Lists that are empty may be null.

export interface Login {
  token: string;
}

export interface About {
  version: string;
  api: number;
  sources: Source[] | null;
  live: boolean;
  may_act: boolean;
  offline?: boolean;
}

export interface Source {
  name: string;
  path: string;
  kind: string;
  problem?: string;
}

export interface Error {
  code: string;
  error: string;
}

export interface Issues {
  issues: Issue[] | null;
  total: number;
  facets: Facets;
  problems: string[] | null;
  incidents: number;
  stopped?: string;
}

export interface Issue {
  fingerprint: string;
  count: number;
  first: string;
  last: string;
  services: string[] | null;
  cause: string;
  sentence: string;
  confidence?: string;
  hosts: string[] | null;
  versions: string[] | null;
  pinned: boolean;
  spark: number[] | null;
  newest: Occurrence;
}

export interface Occurrence {
  id: string;
  source: string;
  service: string;
  instance: number;
  time: string;
  host: string;
  cause: string;
  sentence: string;
  status: string;
  version: string;
  uptime_seconds: number;
  bytes: number;
  pinned: boolean;
  badges: Badge[] | null;
}

export interface Badge {
  name: string;
  state: string;
  why?: string;
}

export interface Facets {
  services: Facet[] | null;
  causes: Facet[] | null;
  versions: Facet[] | null;
  sources: Facet[] | null;
}

export interface Facet {
  value: string;
  count: number;
}

export interface Occurrences {
  occurrences: Occurrence[] | null;
  total: number;
}

export interface Incident {
  incident: SnapshotIncident;
  source: string;
  directory?: string;
  pinned: boolean;
  badges: Badge[] | null;
  problems: string[] | null;
  banners: string[] | null;
  deadlocks: string[] | null;
  finding: string;
  same: number;
  newer?: string;
  older?: string;
  captures: boolean;
  revision?: string;
}

export interface SnapshotIncident {
  schema: number;
  id: string;
  service: string;
  instance: number;
  pid: number;
  time: string;
  host?: string;
  cause: string;
  sentence: string;
  fingerprint?: string;
  status: string;
  bytes: number;
  command?: string[];
  uptime_seconds: number;
  exit?: Exit;
  freeze?: Freeze;
  program?: Program;
  missing?: string[];
  card?: Card;
  masked?: Masked[];
  collectors: Ran[] | null;
  files: FileInfo[] | null;
  removed?: Removed[];
  vigil: string;
}

export interface Exit {
  code: number;
  signal?: string;
  core_dumped?: boolean;
  user_seconds: number;
  system_seconds: number;
  max_rss_bytes: number;
  major_faults: number;
  voluntary_switches: number;
  involuntary_switches: number;
}

export interface Freeze {
  method: string;
  pause_seconds: number;
  budget_seconds: number;
  threads: number;
  bytes: number;
  refused?: Refusal[];
}

export interface Refusal {
  rung: string;
  reason: string;
}

export interface Program {
  path: string;
  runtime: string;
  go_version?: string;
  build_id?: string;
  module?: string;
  revision?: string;
  optimised?: boolean;
  stripped?: boolean;
}

export interface Card {
  sentence: string;
  confidence: string;
  why: string;
  evidence?: CardFact[];
  look_at?: string[];
  not?: string[];
}

export interface CardFact {
  text: string;
  where: string;
}

export interface Masked {
  where: string;
  name?: string;
  rule: string;
  count: number;
}

export interface Ran {
  name: string;
  result: string;
  cost_seconds: number;
  bytes?: number;
  reason?: string;
}

export interface FileInfo {
  name: string;
  bytes: number;
}

export interface Removed {
  name: string;
  bytes: number;
  time: string;
  why: string;
}

export interface Stacks {
  noun: string;
  by: string;
  groupings: string[] | null;
  runtime: string;
  total: number;
  unwound: number;
  matching: number;
  idle: number;
  groups: Group[] | null;
  count: number;
  crash?: Crash;
  notes: string[] | null;
  optimised: boolean;
}

export interface Group {
  index: number;
  indices: number[] | null;
  key: string;
  label: string;
  count: number;
  status: string;
  wait_reason?: string;
  wait_min_seconds: number;
  wait_max_seconds: number;
  created_by?: Place;
  start?: Place;
  frames: Frame[] | null;
  cut: boolean;
  members: Member[] | null;
  labels?: string[];
  heap: string;
  reasons: string[] | null;
  idle?: string;
  system: boolean;
  crashed: boolean;
  deadlock: boolean;
  variables: boolean;
}

export interface Place {
  function: string;
  file?: string;
  line?: number;
}

export interface Frame {
  function: string;
  file?: string;
  line?: number;
  own: boolean;
  runtime: boolean;
  inlined?: boolean;
  link?: string;
}

export interface Member {
  id: number;
  tid?: number;
  name?: string;
  waiting_seconds?: number;
}

export interface Crash {
  kind: string;
  message?: string;
  signal?: string;
  address?: number;
  goroutine?: number;
  frame?: Place;
}

export interface GroupDetail {
  index: number;
  indices: number[] | null;
  key: string;
  label: string;
  count: number;
  status: string;
  wait_reason?: string;
  wait_min_seconds: number;
  wait_max_seconds: number;
  created_by?: Place;
  start?: Place;
  frames: Frame[] | null;
  cut: boolean;
  members: Member[] | null;
  labels?: string[];
  heap: string;
  reasons: string[] | null;
  idle?: string;
  system: boolean;
  crashed: boolean;
  deadlock: boolean;
  variables: boolean;
  sample: number;
  optimised: boolean;
  detailed: DetailFrame[] | null;
  everyone: Member[] | null;
  thread?: Thread;
  waits: Edge[] | null;
}

export interface DetailFrame {
  function: string;
  file?: string;
  line?: number;
  own: boolean;
  runtime: boolean;
  inlined?: boolean;
  link?: string;
  pc: string;
  arguments?: Variable[];
  locals?: Variable[];
}

export interface Variable {
  name: string;
  type: string;
  value?: string;
  masked?: boolean;
  unreadable?: string;
}

export interface Thread {
  tid: number;
  comm: string;
  state: string;
  wchan?: string;
  syscall?: string;
  kernel_stack?: string[];
  frames?: SnapshotFrame[];
  user_seconds: number;
  system_seconds: number;
  voluntary_switches: number;
  involuntary_switches: number;
  goroutine?: number;
}

export interface SnapshotFrame {
  function: string;
  file?: string;
  line?: number;
  pc: number;
  inlined?: boolean;
  arguments?: Variable[];
  locals?: Variable[];
}

export interface Edge {
  from: number;
  to: number;
  kind: string;
  name?: string;
  address?: string;
  certain: boolean;
  any: boolean;
  cycle: boolean;
  place?: Place;
  count: number;
}

export interface SourceText {
  file: string;
  line: number;
  lines: SourceLine[] | null;
  link?: string;
  why?: string;
  stale?: string;
}

export interface SourceLine {
  number: number;
  text: string;
}

export interface Waits {
  nodes: Node[] | null;
  edges: Edge[] | null;
  cycles: Cycle[] | null;
  left: number;
  sentence: string;
  why?: string;
}

export interface Node {
  id: number;
  count: number;
  label: string;
  group: number;
  status: string;
  cycle: boolean;
}

export interface Cycle {
  sentence: string;
  members: number[] | null;
  certain: boolean;
}

export interface Flame {
  noun: string;
  root: FlameNode;
  merged: number;
}

export interface FlameNode {
  function: string;
  file?: string;
  line?: number;
  count: number;
  runtime?: boolean;
  groups?: number[];
  children?: FlameNode[];
}

export interface Timeline {
  zero: string;
  from: number;
  to: number;
  moments: Moment[] | null;
  series: Series[] | null;
  at: number[] | null;
  spans: Span[] | null;
  activities: ActivitySeries[] | null;
  problems: string[] | null;
}

export interface Moment {
  at: number;
  kind: string;
  text: string;
}

export interface Series {
  name: string;
  unit: string;
  values: (number | null)[] | null;
}

export interface Span {
  from: number;
  to: number;
  kind: string;
  text: string;
}

export interface ActivitySeries {
  name: string;
  beats: number[] | null;
  gaps: Span[] | null;
}

export interface Output {
  lines: OutputLine[] | null;
  total: number;
  all: number;
  problems: string[] | null;
}

export interface OutputLine {
  number: number;
  text: string;
  at?: number;
}

export interface ProcessView {
  schema: number;
  pid: number;
  taken?: string;
  ppid: number;
  comm: string;
  exe?: string;
  cwd?: string;
  command?: string[];
  environment?: string[];
  state: string;
  uid: number;
  gid: number;
  start_ticks: number;
  user_seconds: number;
  system_seconds: number;
  rss_bytes: number;
  vsize_bytes: number;
  tracer_pid?: number;
  limits?: string[];
  status?: string[];
  cgroup?: string;
  oom_score: number;
  fds?: FD[];
  fd_count: number;
  maps?: string[];
  threads: Thread[] | null;
  thread_count: number;
  masked?: Masked[];
  denied?: string[];
  between_seconds: number;
  deltas: ThreadDelta[] | null;
  opened: Descriptor[] | null;
}

export interface FD {
  fd: number;
  target: string;
}

export interface ThreadDelta {
  tid: number;
  cpu_seconds: number;
  voluntary_switches: number;
  involuntary_switches: number;
}

export interface Descriptor {
  fd: number;
  text: string;
}

export interface Compare {
  left: Occurrence;
  right: Occurrence;
  comparison: Comparison;
  groups: ComparedGroup[] | null;
  why?: string;
}

export interface Comparison {
  sentence: string;
  noun: string;
  same_process: boolean;
  distance_seconds?: number;
  left: number;
  right: number;
  both?: number;
  still?: number;
  moves?: number;
  spins?: number;
  new?: number;
  gone?: number;
  groups?: GroupChange[];
  changes?: Change[];
  cut?: number;
}

export interface GroupChange {
  side: string;
  where: Place;
  status: string;
  wait_reason?: string;
  left: number;
  right: number;
  left_group: number;
  right_group: number;
  other_lines?: boolean;
}

export interface Change {
  id: number;
  name?: string;
  motion: string;
  from?: Place;
  to?: Place;
  state?: string;
  cpu_seconds?: number;
  switches?: number;
}

export interface ComparedGroup {
  frames: Frame[] | null;
}

export interface Normal {
  key: string;
  normal: boolean;
}

export interface Now {
  time: string;
  instance?: Instance;
  services: Service[] | null;
  signals: SignalEntry[] | null;
  why?: string;
}

export interface Instance {
  name: string;
  keeper_pid: number;
  supervisor_pid: number;
  epoch: number;
  version: string;
  keeper_version: string;
  former_version?: string;
  started: string;
  state_dir: string;
  runtime_dir: string;
  limitations?: string[];
}

export interface Service {
  service: string;
  state: string;
  pid: number;
  instance: number;
  restarts: number;
  ready: boolean;
  cause: string;
  since: string;
  sentence?: string;
  status?: string;
  uptime_seconds: number;
  heartbeat?: Heartbeat;
  signs?: Sign[];
  signs_more?: number;
  next_start_seconds?: number;
  waiting_for?: Blocker[];
  ends_after?: Blocker[];
  incident?: string;
  desired: string;
  exit_code?: number;
  cgroup?: string;
  output: ControlOutput;
  notify_datagrams?: number;
  notify_refused?: number;
  command: string[] | null;
  limitations?: string[];
}

export interface Heartbeat {
  age_seconds: number;
  limit_seconds: number;
  suspect_seconds: number;
  state: string;
}

export interface Sign {
  name: string;
  kind: string;
  state: string;
  age_seconds: number;
  limit_seconds: number;
  text?: string;
}

export interface Blocker {
  service: string;
  state: string;
}

export interface ControlOutput {
  bytes: number;
  lines: number;
  dropped_bytes: number;
  dropped_lines: number;
  file?: string;
}

export interface SignalEntry {
  seq: number;
  time: string;
  boot: number;
  signal: string;
  code: number;
  demand: string;
  target: string;
  sender: Sender;
  count: number;
  senders?: Further[];
  others: number;
  last: string;
  outcome: string;
}

export interface Sender {
  pid: number;
  uid: number;
  command: string;
  parent: number;
  parent_command: string;
  forged: boolean;
}

export interface Further {
  pid: number;
  uid: number;
  command: string;
  parent: number;
  parent_command: string;
  forged: boolean;
  count: number;
}

export interface Live {
  kind: string;
  id?: string;
  occurrence?: Occurrence;
  event?: Event;
  lost?: number;
}

export interface Event {
  seq: number;
  time: string;
  service?: string;
  kind: string;
  text: string;
}

export interface Process {
  schema: number;
  pid: number;
  taken?: string;
  ppid: number;
  comm: string;
  exe?: string;
  cwd?: string;
  command?: string[];
  environment?: string[];
  state: string;
  uid: number;
  gid: number;
  start_ticks: number;
  user_seconds: number;
  system_seconds: number;
  rss_bytes: number;
  vsize_bytes: number;
  tracer_pid?: number;
  limits?: string[];
  status?: string[];
  cgroup?: string;
  oom_score: number;
  fds?: FD[];
  fd_count: number;
  maps?: string[];
  threads: Thread[] | null;
  thread_count: number;
  masked?: Masked[];
  denied?: string[];
}

export interface World {
  schema: number;
  pid: number;
  findings?: string[];
  sockets?: Socket[];
  states?: { [key: string]: number };
  peers?: Peer[];
  counters?: Counters;
  since?: string;
  cgroup?: CgroupState;
  pressure?: string[];
  missing?: string[];
}

export interface Socket {
  fd: number;
  local: string;
  remote?: string;
  state: string;
  receive_queue: number;
  send_queue: number;
  retransmits: number;
  unacked: number;
  total_retransmits: number;
  rtt_seconds: number;
  last_sent_seconds: number;
  last_heard_seconds: number;
  last_ack_seconds: number;
}

export interface Peer {
  address: string;
  device?: string;
  gateway?: string;
  neighbour?: Neighbour;
}

export interface Neighbour {
  address: string;
  link_address?: string;
  state: string;
  confirmed_seconds: number;
  used_seconds: number;
  updated_seconds: number;
}

export interface Counters {
  in_segments: number;
  retransmitted_segments: number;
  bad_segments: number;
  bad_checksums: number;
  resets_sent: number;
  connections_reset: number;
  listen_overflows: number;
  listen_drops: number;
}

export interface CgroupState {
  path: string;
  memory_bytes?: number;
  memory_max_bytes?: number;
  oom_kills?: number;
  cpu_periods?: number;
  cpu_throttled?: number;
  pids?: number;
  pids_max?: number;
  pressure?: string[];
}

export interface Tree {
  schema: number;
  processes: TreeProcess[] | null;
  count: number;
  missing?: string[];
}

export interface TreeProcess {
  pid: number;
  ppid: number;
  comm: string;
  command?: string[];
  state: string;
  program: Program;
  rss_bytes: number;
  threads: number;
  stacks?: SnapshotStacks;
  missing?: string[];
}

export interface SnapshotStacks {
  schema: number;
  pid?: number;
  runtime: string;
  taken?: string;
  source?: string;
  total: number;
  unwound: number;
  groups: SnapshotGroup[] | null;
  crash?: Crash;
  threads?: Thread[];
  waits?: Wait[];
  deadlocks?: SnapshotCycle[];
  notes?: string[];
  optimised?: boolean;
}

export interface SnapshotGroup {
  count: number;
  status: string;
  wait_reason?: string;
  system?: boolean;
  ids: number[] | null;
  members?: SnapshotMember[];
  wait_min_seconds?: number;
  wait_max_seconds?: number;
  created_by?: Place;
  start?: Place;
  frames: SnapshotFrame[] | null;
  sample: number;
  labels?: string[];
  crashed?: boolean;
  idle?: string;
  cut?: boolean;
}

export interface SnapshotMember {
  id: number;
  tid?: number;
  name?: string;
  waiting_seconds?: number;
  labels?: string[];
}

export interface Wait {
  waiter: number;
  kind: string;
  address: number;
  name?: string;
  holder: number;
  certain: boolean;
  any?: boolean;
  place?: Place;
}

export interface SnapshotCycle {
  members: number[] | null;
  certain: boolean;
  behind?: number;
}

export interface RuntimeReport {
  schema: number;
  pid: number;
  runtime: string;
  version?: string;
  heap?: string[];
  safepoint?: string[];
  notes?: string[];
}

export interface Ask {
  verb: string;
  services: string[] | null;
  wait: boolean;
  beyond?: { [key: string]: number };
}

export interface Result {
  service: string;
  state: string;
  done: boolean;
  error?: string;
}

export interface Snapshot {
  services: string[] | null;
  detach?: boolean;
}

export interface SnapshotResult {
  service: string;
  pid?: number;
  incident?: string;
  status?: string;
  rung?: string;
  refused?: ControlRefusal[];
  pause_seconds?: number;
  sentence?: string;
  missing?: string[];
  error?: string;
}

export interface ControlRefusal {
  rung: string;
  reason: string;
}

export interface Demanded {
  seq: number;
}
