/**
 * Files that take long begin first: several run at a time, and one of these at the end would run alone. vitest orders by
 * what it measured the last time, which a fresh clone does not have.
 */
import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Of all projects, by what they take on two processors. */
const longest = (
  'speculation faults documents rollout start modelRunner reproducible ' +
  'operator serve kit rollouts scaling bus openai system'
).split(' ')

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const byProject = Map.groupBy(await super.sort(files), ({ project }) => project.name)
    return [...byProject.values()].flatMap((ofOne) => ofOne.toSorted((one, other) => rank(one) - rank(other)))
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = longest.indexOf(basename(moduleId, '.test.ts'))
  return index === -1 ? longest.length : index
}
