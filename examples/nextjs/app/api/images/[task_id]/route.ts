import { read, ApiError } from "../../../../lib/poyo";

type Context = { params: Promise<{ task_id: string }> };

export async function GET(_request: Request, { params }: Context): Promise<Response> {
  try {
    const { status, files, error_message } = await read((await params).task_id);
    return Response.json({ status, file_url: files[0]?.file_url, error: error_message });
  } catch (error) {
    if (error instanceof ApiError) {
      return Response.json({ error: error.message }, { status: error.status });
    }
    throw error;
  }
}
