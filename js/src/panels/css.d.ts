// The build puts a stylesheet into the panels as its text.
declare module "*.css" {
  const text: string;
  export default text;
}
