/**
 * What the operator shows of the calibrations of routes. `route` and `deployment` (a step) are names of resources, so there are as many as
 * somebody made.
 */
import { define, type MetricDefinition } from './metricDefinition.ts'

const labels = ['route', 'deployment'] as const

export const calibrationMetrics = {
  routeGuarantee: define({
    name: 'paceline_route_guarantee',
    kind: 'gauge',
    help: 'Of a step of a cascade: 1 while its calibration holds, 0 while every answer goes on to the next step.',
    labels,
  }),
  routeThreshold: define({
    name: 'paceline_route_threshold',
    kind: 'gauge',
    help: 'The score that an answer of a step must be over to be kept.',
    labels,
  }),
  routeCalibratedErrorRate: define({
    name: 'paceline_route_calibrated_error_rate',
    kind: 'gauge',
    help: 'Where the error rate of kept answers lies by the labels of the calibration; bound is lower or upper.',
    labels: [...labels, 'bound'],
  }),
  routeCalibratedKeptShare: define({
    name: 'paceline_route_calibrated_kept_share',
    kind: 'gauge',
    help: 'Share of answers that the threshold keeps, by the labels of the calibration.',
    labels,
  }),
  routeLabels: define({
    name: 'paceline_route_labels_total',
    kind: 'counter',
    help: 'Labels that clients gave of kept answers; correct is yes or no.',
    labels: [...labels, 'correct'],
  }),
  routeAlarmShare: define({
    name: 'paceline_route_alarm_share',
    kind: 'gauge',
    help: 'How near newer labels are to calling a calibration broken, 0 to 1.',
    labels,
  }),
} as const satisfies Record<string, MetricDefinition>
