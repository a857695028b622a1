// Text files are part of the bundle (build.mjs).
declare module "*.txt" {
  const text: string;
  export default text;
}
