import { h, render } from "preact";

render(<p>vigil</p>, document.getElementById("app")!);
