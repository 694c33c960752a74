/**
 * Files that take a minute or more begin first: several run at a time, and one of these at the end would run alone. vitest orders by
 * what it measured the last time, which a fresh clone does not have.
 */
import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const longest = ['faults', 'documents', 'rollout', 'operator', 'serve', 'kit', 'start']

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
