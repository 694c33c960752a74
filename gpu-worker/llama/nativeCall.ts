/** Native calls that take their time run on another thread; here they become promises. */
import type { NativeFunction } from './symbols.ts'

export function callAsync<Arguments extends readonly unknown[], Result>(
  native: NativeFunction<Arguments, Result>,
  ...values: Arguments
): Promise<Result> {
  return new Promise((resolve, reject) => {
    native.async(...values, (error, result) => {
      if (error === null || error === undefined) resolve(result)
      else reject(error)
    })
  })
}
